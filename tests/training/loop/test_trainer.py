"""What one trial leaves behind in its process for the next."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from peftsearch.backbones.classifier import Classifier
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.training.compute import Compute
from peftsearch.training.loop.arguments import training_arguments
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of


def full(backbone: str, epochs: int, **training: Any) -> TrialConfig:
    chosen = TrainingConfig(epochs=epochs, batch_size=16, **training)
    return TrialConfig(backbone, "full", settings_of("full", learning_rate=1e-3), chosen, max_length=24)


def test_a_trial_in_fp32_after_one_in_bf16_computes_in_fp32(tmp_path: Path) -> None:
    backbone = str(tiny_model(tmp_path / "bert"))
    losses = []
    for precision in ("fp32", "bf16", "fp32"):
        reports: list[EpochReport] = []
        config = full(backbone, epochs=1, precision=precision)
        run_trial(config, toy_data(train=32), reports.append, cache=tmp_path, device="cpu")
        losses.append(reports[0].train_loss)
    assert losses[0] == losses[2]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert losses[0] != losses[1]


def test_transformers_still_leaves_the_precision_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When this fails, `loop.arguments` need not reset it any more."""
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    TrainingArguments(output_dir=str(tmp_path), bf16=True, use_cpu=True, report_to=[])
    TrainingArguments(output_dir=str(tmp_path), use_cpu=True, report_to=[])
    assert os.environ["ACCELERATE_MIXED_PRECISION"] == "bf16"


def test_a_gpu_that_has_tf32_uses_it_but_where_products_are_exact_or_fp16(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asking in ("transformers.training_args", "peftsearch.training.loop.arguments"):
        monkeypatch.setattr(f"{asking}.is_torch_tf32_available", lambda: True)
    before = torch.backends.cuda.matmul.allow_tf32
    config = TrialConfig(backbone="any", method="full", settings={}, training=TrainingConfig(epochs=1, batch_size=16))
    allowed = {}
    try:
        for precision in ("bf16", "tf32", "fp16", "fp32"):
            training_arguments(config, Compute(torch.device("cpu"), precision, 16), str(tmp_path))
            allowed[precision] = torch.backends.cuda.matmul.allow_tf32
    finally:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = before
    assert allowed == {"bf16": True, "tf32": True, "fp16": False, "fp32": False}


def test_evaluation_keeps_nothing_for_a_backward_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = set()
    forward = Classifier.forward

    @wraps(forward)  # the Trainer asks for its signature
    def watch(self: Any, *arguments: Any, **named: Any) -> Any:
        modes.add((self.training, torch.is_inference_mode_enabled()))
        return forward(self, *arguments, **named)

    monkeypatch.setattr(Classifier, "forward", watch)
    config = full(str(tiny_model(tmp_path / "bert")), epochs=2)
    run_trial(config, toy_data(train=32), lambda _: None, cache=tmp_path, device="cpu")
    assert modes == {(True, False), (False, True)}


def test_a_step_that_sleeps_takes_wall_time_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forward, nap, reports = Classifier.forward, 0.3, []

    @wraps(forward)
    def sleepy(self: Any, *arguments: Any, **named: Any) -> Any:
        time.sleep(nap)
        return forward(self, *arguments, **named)

    monkeypatch.setattr(Classifier, "forward", sleepy)
    config = full(str(tiny_model(tmp_path / "bert")), epochs=2)
    result = run_trial(config, toy_data(train=32), reports.append, cache=tmp_path, device="cpu")
    steps = 2
    for report in reports:
        assert 0 < report.train_seconds < report.wall_seconds - 0.9 * steps * nap
        assert 0 < report.evaluation_seconds < nap < report.evaluation_wall_seconds, "an evaluation sleeps too"
        assert report.duration == report.wall_seconds + report.evaluation_wall_seconds
    measured = result.measurement
    assert measured.clock == "processor"
    assert measured.train_seconds == pytest.approx(sum(report.train_seconds for report in reports))
    assert measured.wall_seconds == measured.actual_train_seconds
    assert measured.wall_seconds == pytest.approx(sum(report.wall_seconds for report in reports))


def test_gradients_are_clipped_without_walking_all_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clipped: list[tuple[set[str], float]] = []
    clip = torch.nn.utils.clip_grad_norm_

    def watch(parameters: Any, max_norm: float, *how: Any, **more: Any) -> Any:
        given = list(parameters)
        clipped.append(({type(tensor).__name__ for tensor in given}, max_norm))
        assert any(tensor.grad is not None for tensor in given)
        return clip(given, max_norm, *how, **more)

    walks: list[int] = []
    walk = Classifier.parameters
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", watch)
    monkeypatch.setattr(Classifier, "parameters", lambda self, recurse=True: _counted(walk(self, recurse), walks))
    config = full(str(tiny_model(tmp_path / "bert")), epochs=1, max_grad_norm=0.5)
    counts = []
    for rows in (64, 128):
        clipped.clear()
        walks.clear()
        run_trial(config, toy_data(train=rows), lambda report: None, cache=tmp_path / str(rows), device="cpu")
        assert clipped == [({"Parameter"}, 0.5)] * (rows // 16)
        counts.append(len(walks))
    assert counts[0] == counts[1], "walks do not grow with the steps"


def _counted(parameters: Iterator[Any], walks: list[int]) -> Iterator[Any]:
    """Counts only what is really read."""
    walks.append(1)
    yield from parameters
