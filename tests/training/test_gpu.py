"""What only a GPU shows; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import TrialFailure
from peftsearch.core.measurement import EpochReport
from peftsearch.core.run_folder import PREFIXES
from peftsearch.training.meter import MIB
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

DATA = toy_data(train=240)

LEARNING: dict[str, tuple[float, int, dict[str, Any]]] = {
    "full": (3e-3, 8, {}),
    "frozen": (1e-2, 8, {"frozen_layers": 1}),
    "lora": (3e-2, 10, {}),
    "prefix": (3e-2, 16, {}),
    "seq_bn": (3e-2, 10, {}),
    "unfreezing": (1e-2, 8, {}),
}
"""The learning rate and epochs at which a method learns the toy task."""


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Without dropout, which draws other numbers on a GPU than on a CPU."""
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return str(tiny_model(tmp_path_factory.mktemp("backbone"), **none))


def config(backbone: str, method: str, **training: Any) -> TrialConfig:
    rate, epochs, settings = LEARNING[method]
    return TrialConfig(
        backbone=backbone,
        method=method,
        settings=settings_of(method, learning_rate=rate, **settings),
        training=TrainingConfig(**{"epochs": epochs, "batch_size": 16, **training}),
        max_length=24,
    )


def trained(config: TrialConfig, cache: Path, device: str = "cuda", **options: Any) -> tuple[Any, list[EpochReport]]:
    reports: list[EpochReport] = []
    return run_trial(config, DATA, reports.append, cache=cache, device=device, **options), reports


@pytest.mark.parametrize("method", LEARNING)
def test_methods_learn(backbone: str, tmp_path: Path, method: str) -> None:
    result, reports = trained(config(backbone, method), tmp_path)
    assert max(report.metrics["macro_f1"] for report in reports) > 0.9
    assert result.measurement.device == torch.cuda.get_device_name()
    assert result.measurement.precision in ("fp32", "tf32", "bf16", "fp16")


@pytest.mark.parametrize("method", LEARNING)
def test_in_fp32_it_learns_as_on_the_cpu(backbone: str, tmp_path: Path, method: str) -> None:
    # The first epoch: later ones part ways, as any two runs that round differently do.
    fp32 = config(backbone, method, precision="fp32", epochs=2)
    losses = [trained(fp32, tmp_path / device, device)[1][0].train_loss for device in ("cpu", "cuda")]
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)


@pytest.mark.parametrize("method", ["full", "lora", "frozen"])
def test_the_seed_reproduces(backbone: str, tmp_path: Path, method: str) -> None:
    runs = [trained(config(backbone, method, epochs=3), tmp_path)[1] for _ in range(2)]
    assert [report.train_loss for report in runs[0]] == pytest.approx([report.train_loss for report in runs[1]])


def test_states_of_a_prefix_are_the_same_read_and_computed(backbone: str, tmp_path: Path) -> None:
    frozen = config(backbone, "frozen", precision="fp32")
    _, kept = trained(frozen, tmp_path / "kept")
    _, computed = trained(frozen, tmp_path / "computed", cache_size=0)
    assert [any((tmp_path / name / PREFIXES).glob("[!.]*")) for name in ("kept", "computed")] == [True, False]
    assert [r.train_loss for r in kept] == pytest.approx([r.train_loss for r in computed], rel=1e-3)


def test_memory_is_the_devices(backbone: str, tmp_path: Path) -> None:
    result, _ = trained(config(backbone, "full"), tmp_path)
    weights = sum(p.numel() * p.element_size() for p in result.classifier.parameters())
    assert result.measurement.peak_memory_mb > 4 * weights / MIB  # weights, gradients and two moments
    assert next(result.classifier.parameters()).device.type == "cpu"


def test_short_of_memory_the_batch_is_divided(tmp_path: Path) -> None:
    # Its activations need more memory than its weights.
    wide = str(tiny_model(tmp_path / "wide", hidden_size=512, intermediate_size=2048))
    whole, _ = trained(config(wide, "full", epochs=1, batch_size=240), tmp_path)
    with memory_of(0.7 * whole.measurement.peak_memory_mb):
        result, _ = trained(config(wide, "full", epochs=1, batch_size=240), tmp_path)
    assert result.measurement.micro_batch_size < 240
    with memory_of(0.05 * whole.measurement.peak_memory_mb), pytest.raises(TrialFailure) as failure:
        trained(config(wide, "full", epochs=1, batch_size=240), tmp_path)
    assert failure.value.kind == "out_of_memory"


@contextmanager
def memory_of(mib: float) -> Iterator[None]:
    """Inside, this process may take so much of the GPU's memory."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(mib * MIB / torch.cuda.get_device_properties(0).total_memory)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
