"""What trials say about an objective, on the scale on which it is modelled: smaller is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from peftsearch.core.front.pareto import Array
from peftsearch.core.objectives import Objective, find_objective, is_metric, value_of
from peftsearch.search.extrapolation import by_ratio
from peftsearch.search.forecast import config_of
from peftsearch.storage.records import Record

MEDIAN = 0.5

SHORTEST = 0.05
"""Times below this share of the median trial's are equal: a model of milliseconds would chase their noise."""


@dataclass(frozen=True)
class Scale:
    """An objective's values as losses: costs and rates by their logarithm, metrics as they are.

    Attributes:
        floor: what a smaller number counts as, since 0 has no logarithm.
    """

    objective: Objective
    floor: float

    def losses(self, values: Array) -> Array:
        """Losses of the same shape; NaN stays NaN."""
        scaled = values if self.objective.known == "curve" else np.log(np.maximum(values, self.floor))
        return np.asarray(-scaled if self.objective.direction == "maximize" else scaled)


def scale_of(name: str, values: Array) -> Scale:
    """The scale of an objective of which `values` were observed, NaN where it was not."""
    objective, positive = find_objective(name), values[values > 0]
    if not len(positive):
        return Scale(objective, 1.0)
    time = objective.known == "time"
    return Scale(objective, float(np.median(positive) * SHORTEST if time else positive.min() / 10))


def observed(name: str, trials: Sequence[Record]) -> Array:
    """The value that each trial has, or can be expected to end with.

    Returns:
        Shape (trials,); NaN where nothing is known. A configuration that failed by itself has the worst metric of all.
    """
    complete = [trial for trial in trials if trial.state == "complete"]
    values = np.array([_value(name, trial, complete) for trial in trials], dtype=np.float64)
    known = values[~np.isnan(values)]
    if is_metric(name) and len(known):
        worst = known.min() if find_objective(name).direction == "maximize" else known.max()
        values[[trial.state == "failed" for trial in trials]] = worst
    return values


def _value(name: str, trial: Record, complete: Sequence[Record]) -> float:
    if name in trial.values:
        return trial.values[name]
    measured = value_of(name, trial.measurement) if trial.measurement else None
    checked = (check.value for check in trial.checks if check.constraint.objective == name)
    known = measured if measured is not None else next(checked, None)
    objective = find_objective(name)
    if known is not None and objective.known != "time":  # seconds so far are no whole trial's
        return known
    if trial.state == "complete" or not trial.curve:
        return float("nan") if known is None else known
    return _end_of_curve(objective, trial, complete)


def _end_of_curve(objective: Objective, trial: Record, complete: Sequence[Record]) -> float:
    """What a trial that is running or was stopped would have had after all of its epochs."""
    epochs = config_of(trial).training.epochs
    if objective.of_parameters:
        return objective.of_parameters(max(report.trainable_parameters for report in trial.curve))
    if objective.known == "time":
        return float(np.mean([getattr(report, objective.name) for report in trial.curve])) * epochs
    if objective.known != "curve" or objective.name not in trial.curve[-1].metrics:
        return float("nan")
    best = trial.bests(objective.name)
    if objective.bounds != (0.0, 1.0):
        return best[-1]
    end = by_ratio(best, [other.bests(objective.name) for other in complete], epochs, MEDIAN)
    return best[-1] if end is None else max(best[-1], end)
