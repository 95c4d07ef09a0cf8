"""What one trial leaves behind in its process for the next."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from transformers import TrainingArguments

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of


def test_a_trial_in_fp32_after_one_in_bf16_computes_in_fp32(tmp_path: Path) -> None:
    backbone = str(tiny_model(tmp_path / "bert"))
    losses = []
    for precision in ("fp32", "bf16", "fp32"):
        reports: list[EpochReport] = []
        config = TrialConfig(
            backbone=backbone,
            method="full",
            settings=settings_of("full", learning_rate=1e-3),
            training=TrainingConfig(epochs=1, batch_size=16, precision=precision),
            max_length=24,
        )
        run_trial(config, toy_data(train=32), reports.append, cache=tmp_path, device="cpu")
        losses.append(reports[0].train_loss)
    assert losses[0] == losses[2]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_transformers_still_leaves_the_precision_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails, `loop._arguments` need not reset it any more."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    TrainingArguments(output_dir=str(tmp_path), bf16=True, use_cpu=True, report_to=[])
    TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "bf16"
