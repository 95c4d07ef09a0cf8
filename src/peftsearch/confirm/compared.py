"""Brings what confirming has kept of each row together, so that trials can be compared over rows and seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peftsearch.confirm.statistics import Comparison, Scores
from peftsearch.core.objectives import EVALUATE, find_objective
from peftsearch.core.points import Point
from peftsearch.methods.table import METHODS
from peftsearch.storage.confirmations import SeedRun

if TYPE_CHECKING:
    from peftsearch.confirm.variance import Floats
    from peftsearch.core.predictions import Predictions


def comparison(metric: str, runs: Mapping[Point, Sequence[SeedRun]], methods: Mapping[Point, str]) -> Comparison | None:
    """Compare trials by the runs that have kept the classes of the test rows.

    Args:
        metric: the metric that is compared.
        runs: point → its runs.
        methods: point → its method.

    Returns:
        None if the metric follows from more than true and predicted classes, or no run has kept them.
    """
    import numpy as np

    kept = {trial: [run for run in own if run.rows and run.test] for trial, own in runs.items()}
    truth = next((run.rows.labels for own in kept.values() for run in own if run.rows), None)
    if truth is None or not is_counted(metric):
        return None
    scores = {}
    for trial, own in kept.items():
        values = [_values(metric, run) for run in own if run.rows and run.rows.labels == truth]
        if values:
            scores[trial] = Scores(np.stack(values), METHODS[methods[trial]].random)
    objective = find_objective(metric)
    low, high = sorted(objective.bounds or (-math.inf, math.inf))
    return Comparison(scores, objective.direction == "maximize", (low, high))


def validation_values(metric: str, found: Predictions) -> Floats:
    """The pseudo-values of what a trial said about the validation rows, shape (rows,)."""
    from peftsearch.confirm.jackknife import pseudo_values

    return pseudo_values(metric, found.predicted, found.labels, found.logits.shape[1])


def _values(metric: str, run: SeedRun) -> Floats:
    from peftsearch.confirm.jackknife import pseudo_values

    assert run.rows is not None
    assert run.test is not None
    labels, predicted = run.rows.arrays()
    return pseudo_values(metric, predicted, labels, len(run.test.classes.labels))


def is_counted(metric: str) -> bool:
    """Whether the metric is a function of true and predicted classes."""
    from peftsearch.confirm.jackknife import COUNTED

    return metric in COUNTED or metric.startswith(EVALUATE)
