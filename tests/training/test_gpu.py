"""What only a GPU shows; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.dimensions import Scalar
from peftsearch.core.errors import TrialFailure
from peftsearch.core.files.cache_folder import PREFIXES
from peftsearch.core.measurement import EpochReport
from peftsearch.training.meter import MIB
from peftsearch.training.precision import choice
from peftsearch.training.precision.benchmark import TrainingStep
from peftsearch.training.precision.number_formats import formats_of
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of, tf32_set_to

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

DEVICE = "cuda"
DATA = toy_data(train=240)

LEARNING: dict[str, tuple[float, int, dict[str, Any]]] = {
    "full": (3e-3, 8, {}),
    "frozen": (1e-2, 8, {"frozen_layers": 1}),
    "lora": (3e-2, 10, {}),
    "prefix": (3e-2, 32, {}),
    "seq_bn": (3e-2, 16, {}),
    "unfreezing": (1e-2, 8, {}),
}
"""The learning rate and epochs at which a method learns the toy task."""

SAME_LOSS = 5e-5
"""How far the first epoch's fp32 losses of a CPU and a GPU may lie apart, relatively.

Measured on a CPU: noise of 1e-5 on every weight, which is ten times what the order of summation changes, moves that
loss by 2e-6, noise of half a unit in TF32's last place by 9e-5, and dropout of 0.1 by 5e-3.
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured step times are kept in the test's folder, not in the user's cache."""
    monkeypatch.setenv("PEFTSEARCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    none = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return str(tiny_model(tmp_path_factory.mktemp("backbone"), **none))


def config(backbone: str, method: str, settings: dict[str, Scalar] | None = None, **training: Any) -> TrialConfig:
    """A trial without dropout in head and method: a GPU and a CPU draw other numbers from the same seed."""
    rate, epochs, own = LEARNING[method]
    chosen = settings_of(method, learning_rate=rate, **own)
    still: dict[str, Scalar] = {name: 0.0 for name in chosen if name.endswith("dropout")}
    return TrialConfig(
        backbone=backbone,
        method=method,
        settings={**chosen, **still, **(settings or {})},
        training=TrainingConfig(**{"epochs": epochs, "batch_size": 16, **training}),
        max_length=24,
    )


def trained(config: TrialConfig, cache: Path, device: str = DEVICE, **options: Any) -> tuple[Any, list[EpochReport]]:
    reports: list[EpochReport] = []
    return run_trial(config, DATA, reports.append, cache=cache, device=device, **options), reports


def best_f1(reports: list[EpochReport]) -> float:
    return max(report.metrics["macro_f1"] for report in reports)


@pytest.mark.parametrize("method", LEARNING)
def test_methods_learn(backbone: str, tmp_path: Path, method: str) -> None:
    result, reports = trained(config(backbone, method), tmp_path)
    assert best_f1(reports) > 0.9
    assert result.measurement.device == torch.cuda.get_device_name()
    assert result.measurement.precision in ("fp32", "tf32", "bf16", "fp16")


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_the_task_is_learned_in_every_number_format(backbone: str, tmp_path: Path, precision: str) -> None:
    result, reports = trained(config(backbone, "full", precision=precision), tmp_path)
    assert best_f1(reports) > 0.9
    recent = torch.cuda.get_device_capability() >= (8, 0)
    assert result.measurement.precision == ("fp32" if precision == "tf32" and not recent else precision)


@pytest.mark.parametrize("method", LEARNING)
def test_in_fp32_it_learns_as_on_the_cpu(backbone: str, tmp_path: Path, method: str) -> None:
    # The first epoch: later ones part ways, as any two runs that round differently do.
    fp32 = config(backbone, method, precision="fp32", epochs=2)
    cpu, gpu = (trained(fp32, tmp_path / device, device)[1][0].train_loss for device in ("cpu", DEVICE))
    assert gpu == pytest.approx(cpu, rel=SAME_LOSS)


@pytest.mark.parametrize("method", ["full", "lora", "frozen"])
def test_the_seed_reproduces_dropout_too(backbone: str, tmp_path: Path, method: str) -> None:
    noisy = config(backbone, method, {"head_dropout": 0.1}, epochs=3)
    runs = [trained(noisy, tmp_path)[1] for _ in range(2)]
    assert [report.train_loss for report in runs[0]] == pytest.approx([report.train_loss for report in runs[1]])


def test_states_of_a_prefix_are_the_same_read_and_computed(backbone: str, tmp_path: Path) -> None:
    frozen = config(backbone, "frozen", precision="fp32")
    _, kept = trained(frozen, tmp_path / "kept")
    _, computed = trained(frozen, tmp_path / "computed", cache_size=0)
    assert [any((tmp_path / name / PREFIXES).glob("[!.]*")) for name in ("kept", "computed")] == [True, False]
    assert [r.train_loss for r in kept] == pytest.approx([r.train_loss for r in computed], rel=1e-3)


@pytest.mark.parametrize("allowed", [True, False])
def test_choosing_a_number_format_leaves_tf32_as_it_was(
    backbone: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "_KNOWN", {})
    monkeypatch.setattr(choice, "MEASURE_SECONDS", 0.2)
    device = torch.device(DEVICE)
    with tf32_set_to(allowed):
        chosen = choice.choose_precision("auto", device, TrainingStep(resolve(backbone), False, rows=16, tokens=12.0))
        assert torch.backends.cuda.matmul.allow_tf32 == torch.backends.cudnn.allow_tf32 == allowed
    (measured,) = choice._KNOWN.values()
    assert set(measured) == set(formats_of(device))
    assert chosen in measured
    assert min(measured.values()) > 0


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
