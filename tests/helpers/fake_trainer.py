"""A trainer without a model: for what happens around a trial, in this process or in a worker's.

A test tells it by environment variables how to behave, since it cannot reach a worker process otherwise:
`FAKE_SECONDS` is what an epoch takes, with `FAKE_GATE` no epoch ends before this file is there, trials of the method
`FAKE_KILL` kill their process, trials of the method `FAKE_ERROR` raise, with `FAKE_DEAF` a trial does not stop when it
is asked to, and with `FAKE_CRASH` the worker dies before its first trial. The one trial that deletes the file
`FAKE_KILL_ONCE` kills its process, and the one that deletes `FAKE_HANG_ONCE` makes no step any more after its first
epoch: it sleeps or, with `FAKE_BUSY`, computes.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import BreaksConstraint, breaking, checks_before_training
from peftsearch.core.errors import Interrupted, OutOfTime
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.search.execute import Train
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job

PARAMETERS = {"full": 22_000_000, "lora": 300_000, "probe": 3_000, "tfidf": 30}


@dataclass(frozen=True)
class FakeResult:
    measurement: Measurement
    predictions: Predictions | None = None

    def save(self, folder: Path) -> None:
        import numpy as np
        from safetensors.numpy import save_file

        folder.mkdir(parents=True)
        save_file({"weight": np.zeros(1_000, dtype="float32")}, folder / "trainable.safetensors")
        (folder / "trial.json").write_text("{}")


def trainer(spec: StudySpec, job: Job) -> Train:
    """Stands in for `workers.search_task.real_trainer`."""
    if os.environ.get("FAKE_CRASH"):
        raise RuntimeError("no such device")

    def train_within(
        config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool] = lambda: False
    ) -> FakeResult:
        checks = checks_before_training(spec.constraints, PARAMETERS[config.method])
        if breaking(checks):
            raise BreaksConstraint(checks)
        return train(config, report, should_stop)

    return train_within


def train(
    config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool] = lambda: False
) -> FakeResult:
    """Epochs whose scores follow from the configuration's key alone."""
    _misbehave(config)
    curve = [epoch_report(config, epoch) for epoch in range(1, config.training.epochs + 1)]
    for epoch in curve:
        try:
            _sleep(float(os.environ.get("FAKE_SECONDS", "0")), should_stop)
            while not Path(os.environ.get("FAKE_GATE", ".")).exists():
                _sleep(0.05, should_stop)
        except OutOfTime:
            if epoch.epoch == 1:
                raise
            return FakeResult(replace(measured(curve[: epoch.epoch - 1]), out_of_time=True))
        so_far = measured(curve[: epoch.epoch])
        report(replace(epoch, trained=FakeResult(replace(so_far, best_epoch=epoch.epoch))))
        if _deleted(os.environ.get("FAKE_HANG_ONCE")):
            _hang()
    return FakeResult(measured(curve))


def epoch_report(config: TrialConfig, epoch: int) -> EpochReport:
    luck = int(config.key(), 16) / 16**16
    score = 0.5 + 0.4 * luck - 0.2 / epoch
    seconds = 1.0 + luck
    return EpochReport(epoch, 1.0 / epoch, 1.0 / epoch, {"macro_f1": score}, seconds, 0.1, PARAMETERS[config.method])


def measured(curve: list[EpochReport]) -> Measurement:
    best = max(curve, key=lambda report: report.metrics["macro_f1"])
    return Measurement(
        metrics=best.metrics,
        best_epoch=best.epoch,
        epochs=len(curve),
        trainable_parameters=best.trainable_parameters,
        total_parameters=22_000_000,
        train_seconds=sum(report.train_seconds for report in curve),
        evaluation_seconds=0.1 * len(curve),
        evaluation_samples_per_second=100.0,
        peak_memory_mb=1.0,
        device="cpu",
        precision="fp32",
        seed=42,
        data_fingerprint="none",
        micro_batch_size=8,
        padding_share=0.0,
    )


def _misbehave(config: TrialConfig) -> None:
    if config.method == os.environ.get("FAKE_KILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    if _deleted(os.environ.get("FAKE_KILL_ONCE")):
        os.kill(os.getpid(), signal.SIGKILL)
    if config.method == os.environ.get("FAKE_ERROR"):
        raise ValueError("a matrix of the wrong shape")


def _hang() -> None:
    while True:
        time.sleep(0.0 if os.environ.get("FAKE_BUSY") else 1000.0)


def _deleted(file: str | None) -> bool:
    """Whether this call deleted `file`, which only one process can."""
    try:
        Path(file or "/nowhere").unlink()
    except FileNotFoundError:
        return False
    return True


def _sleep(seconds: float, should_stop: Callable[[], bool]) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if should_stop() and not os.environ.get("FAKE_DEAF"):
            raise Interrupted("asked to stop")
        time.sleep(0.02)
