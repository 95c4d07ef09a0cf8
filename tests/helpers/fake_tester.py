"""Runs of `confirm` without a model: scores that follow from the configuration, and the faults of `fake_trainer`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peftsearch.confirm.once import Tested
from peftsearch.confirm.worker import TrainAndTest
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import ClassReport, EpochReport, SplitScores
from peftsearch.core.predictions import Predictions
from peftsearch.storage.confirm_queue import Repeat
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job
from tests.helpers import fake_trainer

ROWS = 40


def tester(spec: StudySpec, job: Job) -> TrainAndTest:
    """Stands in for `confirm.worker.real_tester`."""
    return train


def train(
    config: TrialConfig,
    repeat: Repeat,
    report: Callable[[EpochReport], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> Tested:
    """Train nothing, and label some of forty rows wrong."""
    measured = fake_trainer.train(config, report, should_stop).measurement
    said = predictions(config)
    return Tested(measured, said, scores(said), said)


def scores(said: Predictions) -> SplitScores:
    """As `training.evaluate.split_scores`, without what importing it takes."""
    pairs, counts = np.unique(np.stack([said.labels, said.predicted], axis=1), axis=0, return_counts=True)
    cells = tuple((int(true), int(guess), int(rows)) for (true, guess), rows in zip(pairs, counts, strict=True))
    report = ClassReport(("a", "b"), cells)
    f1 = float(np.mean([score.f1 for score in report.scores()]))
    return SplitScores({"macro_f1": f1, "accuracy": float((said.labels == said.predicted).mean())}, report)


def predictions(config: TrialConfig) -> Predictions:
    """Forty rows of two classes; which are wrong follows from the configuration's key."""
    labels = np.arange(ROWS) % 2
    wrong = np.random.default_rng(int(config.key(), 16)).random(ROWS) < 0.2
    return Predictions(np.eye(2, dtype=np.float32)[np.where(wrong, 1 - labels, labels)], labels)
