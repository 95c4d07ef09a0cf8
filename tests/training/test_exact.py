"""Speed changes no result beyond noise: trials with and without `exact` learn the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.files.cache_folder import PREFIXES
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=240)

LEARNING = {"full": (3e-3, 8), "lora": (3e-2, 10), "frozen": (1e-2, 8)}
"""The learning rate and epochs at which a method learns the toy task."""


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("backbone"), "bert", layers=2))


def measured(backbone: str, method: str, cache: Path, exact: bool) -> Any:
    rate, epochs = LEARNING[method]
    config = TrialConfig(
        backbone=backbone,
        method=method,
        settings=settings_of(method, learning_rate=rate, **({"frozen_layers": 1} if method == "frozen" else {})),
        training=TrainingConfig(epochs=epochs, batch_size=16, precision="auto"),
        max_length=24,
    )
    return run_trial(config, DATA, lambda _: None, cache=cache, device="cpu", exact=exact).measurement


@pytest.mark.parametrize("method", LEARNING)
def test_both_ways_learn_alike(backbone: str, tmp_path: Path, method: str) -> None:
    fast = measured(backbone, method, tmp_path / "fast", exact=False)
    exact = measured(backbone, method, tmp_path / "exact", exact=True)
    assert min(fast.metrics["macro_f1"], exact.metrics["macro_f1"]) > 0.9, "the toy task must be learned"
    assert fast.metrics["macro_f1"] == pytest.approx(exact.metrics["macro_f1"], abs=0.08)


def test_nothing_is_kept_rounded_or_sorted(backbone: str, tmp_path: Path) -> None:
    fast = measured(backbone, "frozen", tmp_path / "fast", exact=False)
    exact = measured(backbone, "frozen", tmp_path / "exact", exact=True)
    assert (exact.precision, exact.prefix_seconds) == ("fp32", 0.0)
    assert (fast.exact, exact.exact, fast.threads) == (False, True, torch.get_num_threads())
    assert not (tmp_path / "exact" / PREFIXES).exists()
    assert (tmp_path / "fast" / PREFIXES).exists()
    assert exact.padding_share > 2 * fast.padding_share
