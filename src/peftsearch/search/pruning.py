"""Whether a running trial may be stopped early: pure functions of what all trials have reported so far.

`dominated` stops a trial once every end that it could still come to is dominated by a finished trial. On quality
alone cheap methods would be stopped because an expensive one is better, and the front would lose its cheap half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from peftsearch.core.config import TrialConfig, idle_epochs
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import Objective, find_objective, is_metric
from peftsearch.core.pareto import Array, dominates, losses_of
from peftsearch.core.strategies import PRUNERS, load_strategy
from peftsearch.search.extrapolation import OPTIMISTIC_QUANTILE, optimistic_best
from peftsearch.storage.records import Record

TIME_NOISE = 0.05
"""Share by which the epochs to come may be shorter than the cheapest so far has it, on a quiet machine."""

MEDIAN_NEEDS = 5
"""Trials of the same method that a median is taken over, at least."""


@dataclass(frozen=True)
class Decision:
    """Stop the trial: `reason` is a line for people, `dominated_by` the number of the trial that rules it out."""

    reason: str
    dominated_by: int | None = None


Rule = Callable[[Record, Sequence[Record], Sequence[str]], Decision | None]


def decide(rule: str, trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """Whether `trial` is to be stopped after the last epoch of its curve; None to go on.

    Args:
        rule: a key of `core.strategies.PRUNERS`.
        others: all trials of the study; `trial` itself and unfinished ones among them are passed over.
        objectives: their names.
    """
    if trial.config is None or not trial.curve or _ends_now(trial.config, trial.curve):
        return None
    return find_rule(rule)(trial, [other for other in others if other.number != trial.number], objectives)


def find_rule(name: str) -> Rule:
    """The rule that a key of `core.strategies.PRUNERS` names."""
    rule: Rule = load_strategy(PRUNERS, name)
    return rule


def never(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """Every trial runs to its end."""
    return None


def median(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """Worse by this epoch than the median of the trials of the same method."""
    metric, now = _config(trial).selection, len(trial.curve)
    peers = [
        best(other.curve, metric, now)
        for other in others
        if other.state in ("complete", "pruned") and _same_method(trial, other) and len(other.curve) >= now
    ]
    mine = best(trial.curve, metric, now)
    if len(peers) < MEDIAN_NEEDS or mine >= float(np.median(peers)):
        return None
    return Decision(
        f"at best {metric} {mine:.3f} by epoch {now}; the median of {len(peers)} {_config(trial).method} trials"
        f" is {np.median(peers):.3f}"
    )


def dominated(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """Every end that the trial could still come to is dominated by a finished trial.

    The first trial of a method is never stopped: a study compares methods, so each is measured to its end once.
    """
    finished = [other for other in others if other.state == "complete"]
    if not any(_same_method(trial, other) for other in finished):
        return None
    losses = losses_of([[other.values[name] for name in objectives] for other in finished], objectives)
    by = None
    for epochs, point in possible_ends(trial, finished, objectives):
        rivals = np.flatnonzero(dominates(losses, point))
        if not len(rivals):
            return None
        if by is None or epochs == _config(trial).training.epochs:
            by = finished[rivals[np.lexsort(losses[rivals].T[::-1])[0]]]
    return None if by is None else Decision(_because(trial, by, objectives), by.number)


def best(curve: Sequence[EpochReport], metric: str, epochs: int) -> float:
    """The best value of `metric` within the first `epochs` of `curve`."""
    return max(report.metrics[metric] for report in curve[:epochs])


def possible_ends(trial: Record, finished: Sequence[Record], objectives: Sequence[str]) -> Iterator[tuple[int, Array]]:
    """For each epoch at which the trial could end: the epoch, and the losses it would have at its luckiest."""
    at_best = [_at_best(name, trial, finished) for name in objectives]
    for epochs in stops(_config(trial), trial.curve):
        yield epochs, losses_of([[value(epochs) for value in at_best]], objectives)[0]


def stops(config: TrialConfig, curve: Sequence[EpochReport]) -> range:
    """The epochs at which early stopping could end this trial, the last one among them."""
    last, stopping = config.training.epochs, config.training.early_stopping
    if stopping is None:
        return range(last, last + 1)
    idle = idle_epochs([report.metrics[config.selection] for report in curve], stopping.threshold)
    return range(min(last, len(curve) + stopping.patience - idle), last + 1)


def _ends_now(config: TrialConfig, curve: Sequence[EpochReport]) -> bool:
    stopping = config.training.early_stopping
    if len(curve) >= config.training.epochs or stopping is None:
        return len(curve) >= config.training.epochs
    return idle_epochs([report.metrics[config.selection] for report in curve], stopping.threshold) >= stopping.patience


def _at_best(name: str, trial: Record, finished: Sequence[Record]) -> Callable[[int], float]:
    """The luckiest value of an objective for a trial that ends after so many epochs."""
    curve, objective = trial.curve, find_objective(name)
    if objective.known == "start":
        return lambda epochs: float(max(report.trainable_parameters for report in curve))
    if objective.known == "time":
        return _least_seconds(name, trial, finished)
    if objective.known == "curve" and objective.bounds:
        return _best_metric(objective, objective.bounds, trial, finished)
    return lambda epochs: np.inf if objective.direction == "maximize" else -np.inf  # rules nothing out


def _best_metric(
    objective: Objective, bounds: tuple[float, float], trial: Record, finished: Sequence[Record]
) -> Callable[[int], float]:
    """Early stopping at `epochs` means that the last `patience` of them brought nothing above the threshold."""
    low, high = bounds

    def curve(record: Record) -> Sequence[float]:
        """Within 0..1, which is what is extrapolated."""
        bests = record.bests(objective.name)
        return bests if bounds == (0.0, 1.0) else [(best - low) / (high - low) for best in bests]

    stopping, mine, curves = _config(trial).training.early_stopping, curve(trial), [curve(other) for other in finished]

    def value(epochs: int) -> float:
        if stopping is None or epochs == _config(trial).training.epochs:
            return low + (high - low) * optimistic_best(mine, curves, epochs)
        improved = max(len(mine), epochs - stopping.patience)
        return min(high, low + (high - low) * optimistic_best(mine, curves, improved) + stopping.threshold)

    return value


def _least_seconds(name: str, trial: Record, finished: Sequence[Record]) -> Callable[[int], float]:
    """Seconds so far, and for each epoch to come the cheapest so far, times how much cheaper later epochs have become.

    That is what the luckiest tenth of all trials saw from this epoch on, or the luckiest of the same method if that is
    less: where a machine is busy now and then, epochs vary. After the first epoch only the same method counts, since
    it may hold a cost that never comes again (a frozen prefix is computed once). A tenth taken off the whole time
    instead would cost a fifth of the epochs that are saved (`docs/performance.md`).
    """
    seconds = [getattr(report, name) for report in trial.curve]
    now = len(seconds)
    ratios = [(_same_method(trial, other), other.later(name)[now - 1]) for other in finished if len(other.curve) > now]
    luckiest = min((ratio for same, ratio in ratios if same), default=0.0)
    if now > 1 and ratios:
        luckiest = min(luckiest, float(np.quantile([ratio for _, ratio in ratios], OPTIMISTIC_QUANTILE)))
    each = min(seconds) * luckiest * (1 - TIME_NOISE)
    return lambda epochs: float(sum(seconds) + (epochs - now) * each)


def _config(trial: Record) -> TrialConfig:
    assert trial.config is not None  # `decide` sees to it
    return trial.config


def _same_method(trial: Record, other: Record) -> bool:
    return other.config is not None and other.config.method == _config(trial).method


def _because(trial: Record, by: Record, objectives: Sequence[str]) -> str:
    """`at best macro_f1 0.712 by epoch 4; trial 7 has 0.731 with 1,920 parameters in 8.1 s`"""
    now = len(trial.curve)
    curves = [name for name in objectives if is_metric(name)]
    own = ", ".join(f"{name} {best(trial.curve, name, now):.3f}" for name in curves)
    return f"at best {own} by epoch {now}; trial {by.number} has {_in_words(by, objectives)}"


def _in_words(trial: Record, objectives: Sequence[str]) -> str:
    words = []
    for name in objectives:
        objective, value = find_objective(name), trial.values[name]
        if objective.known == "curve":
            words.append(f"{value:.3f}")
        elif objective.known == "time":
            words.append(f"in {value:.1f} {objective.unit}")
        else:
            words.append(f"with {value:,.0f} {objective.unit}")
    return " ".join(words)
