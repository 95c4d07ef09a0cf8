"""Optimistic forecasts of the objectives with which a running trial could still end.

A forecast is no bound. Trainable parameters are known, but a validation metric and the seconds to come are taken from
the luckiest tenth of earlier trials, so now and then a trial does better than its forecast. `docs/performance.md` says
how often that costs a point of the front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from peftsearch.core.config import TrialConfig, idle_epochs
from peftsearch.core.front.pareto import Array, losses_of
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import Objective, find_objective
from peftsearch.search.extrapolation import OPTIMISTIC_QUANTILE, optimistic_best
from peftsearch.storage.records import Record

TIME_NOISE = 0.05
"""Share by which later epochs may be shorter than forecast, since their seconds vary even on a quiet machine."""

TIMED = ("train_seconds", "evaluation_seconds")

SLOWER_MACHINE = 0.75
"""A trial of the same method that took a smaller share of a trial's seconds, to train and to evaluate, had a faster
machine: on a quiet machine, times of equal work differ by no more than a third."""

Forecast = Callable[[int], float]
"""The number of epochs after which a trial ends → the optimistic value of one objective."""


def possible_ends(
    trial: Record, finished: Sequence[Record], objectives: Sequence[str], *, every_epoch: bool = False
) -> Iterator[tuple[int, Array]]:
    """Forecast the trial's losses for each epoch after which it could end.

    Args:
        trial: a running trial with a configuration and at least one epoch in its curve.
        finished: the complete trials of the study.
        objectives: their names.
        every_epoch: whether each epoch is a point of the front, and so an end.

    Yields:
        The number of epochs, and the optimistic losses of shape (objectives,).
    """
    config = config_of(trial)
    if every_epoch:
        config = replace(config, training=replace(config.training, early_stopping=None))
        trial, ends = replace(trial, config=config), range(len(trial.curve) + 1, config.training.epochs + 1)
    else:
        ends = possible_last_epochs(config, trial.curve)
    forecasts = [_forecast(name, trial, finished) for name in objectives]
    for epochs in ends:
        yield epochs, losses_of([[forecast(epochs) for forecast in forecasts]], objectives)[0]


def possible_last_epochs(config: TrialConfig, curve: Sequence[EpochReport]) -> range:
    """The epochs after which the trial could end: those at which early stopping may act, and the last one."""
    last, stopping = config.training.epochs, config.training.early_stopping
    if stopping is None:
        return range(last, last + 1)
    return range(min(last, len(curve) + stopping.patience - _idle(config, curve)), last + 1)


def ends_now(config: TrialConfig, curve: Sequence[EpochReport]) -> bool:
    """Whether training ends by itself after the last epoch of `curve`."""
    stopping = config.training.early_stopping
    if len(curve) >= config.training.epochs or stopping is None:
        return len(curve) >= config.training.epochs
    return _idle(config, curve) >= stopping.patience


def config_of(trial: Record) -> TrialConfig:
    """The configuration of a trial that has one."""
    assert trial.config is not None
    return trial.config


def same_method(trial: Record, other: Record) -> bool:
    """Whether both trials use the same tuning method."""
    return other.config is not None and other.config.method == config_of(trial).method


def same_work(trial: Record, other: Record) -> bool:
    """Whether both trials use the same tuning method on the same backbone."""
    return same_method(trial, other) and other.config is not None and other.config.backbone == config_of(trial).backbone


def _idle(config: TrialConfig, curve: Sequence[EpochReport]) -> int:
    """How many epochs in a row have not improved the selection metric by more than early stopping's threshold."""
    stopping = config.training.early_stopping
    return idle_epochs([report.metrics[config.selection] for report in curve], stopping.threshold if stopping else 0.0)


def _forecast(name: str, trial: Record, finished: Sequence[Record]) -> Forecast:
    objective = find_objective(name)
    if objective.of_parameters:
        known = objective.of_parameters(max(report.trainable_parameters for report in trial.curve))
        return lambda epochs: known
    if objective.known == "time":
        return _forecast_seconds(name, trial, finished)
    if objective.known == "curve" and objective.bounds:
        return _forecast_metric(objective, objective.bounds, trial, finished)
    # Nothing is known of this objective yet, so its forecast must not rule the trial out.
    return lambda epochs: np.inf if objective.direction == "maximize" else -np.inf


def _forecast_metric(
    objective: Objective, bounds: tuple[float, float], trial: Record, finished: Sequence[Record]
) -> Forecast:
    """Extrapolate the metric's learning curve, scaled to 0..1 and back.

    A trial that early stopping ends has improved by no more than the threshold within its last `patience` epochs.
    """
    low, high = bounds

    def scaled(record: Record) -> Sequence[float]:
        bests = record.bests(objective.name)
        return bests if bounds == (0.0, 1.0) else [(best - low) / (high - low) for best in bests]

    training, mine, curves = config_of(trial).training, scaled(trial), [scaled(other) for other in finished]
    alike = [curve for curve, other in zip(curves, finished, strict=True) if same_method(trial, other)]

    def forecast(epochs: int) -> float:
        stopping = training.early_stopping
        if stopping is None or epochs == training.epochs:
            return low + (high - low) * optimistic_best(mine, curves, epochs, alike)
        improved = max(len(mine), epochs - stopping.patience)
        return min(high, low + (high - low) * optimistic_best(mine, curves, improved, alike) + stopping.threshold)

    return forecast


def _forecast_seconds(name: str, trial: Record, finished: Sequence[Record]) -> Forecast:
    """The seconds so far, and for each later epoch the cheapest one so far times an optimistic ratio.

    The ratio says how much cheaper the later epochs of a finished trial were than its cheapest one until then. It is
    the smallest ratio of the same method, or the 10 % quantile over all methods if that is smaller: where other
    programs share a machine, epochs vary. After the first epoch only the same method counts, since the first epoch may
    hold a cost that never comes again, as when a frozen prefix is computed.

    All of them count only in part if the machine is slower now than it was for an earlier trial (`_own_share`).
    """
    seconds = [getattr(report, name) for report in trial.curve]
    now = len(seconds)
    ratios = [(same_method(trial, other), other.later(name)[now - 1]) for other in finished if len(other.curve) > now]
    ratio = min((ratio for same, ratio in ratios if same), default=0.0)
    if now > 1 and ratios:
        ratio = min(ratio, float(np.quantile([ratio for _, ratio in ratios], OPTIMISTIC_QUANTILE)))
    each = min(seconds) * ratio * (1 - TIME_NOISE)
    share = _own_share(trial, finished)
    return lambda epochs: float(share * (sum(seconds) + (epochs - now) * each))


def _own_share(trial: Record, finished: Sequence[Record]) -> float:
    """The share of the trial's seconds that can be its own doing, and not that of what else the machine does.

    Seconds by the wall clock double where two workers share a GPU, and those of a thread change with the number of
    threads. Then the evaluations, which hardly depend on a trial's settings, take longer too. So a trial is charged
    with the smallest share of its seconds in which a finished trial of the same method and backbone has trained as many
    epochs and evaluated them. Shares within the noise of timing are not counted, since the smallest of many is small by
    chance.
    """
    own = [trial.spent(name)[-1] for name in TIMED]
    shares = []
    for other in finished:
        if len(other.curve) >= len(trial.curve) and same_work(trial, other):
            spent = [other.spent(name)[len(trial.curve) - 1] for name in TIMED]
            shares.append(max(theirs / mine if mine else 1.0 for theirs, mine in zip(spent, own, strict=True)))
    least = min(shares, default=1.0)
    return least if least < SLOWER_MACHINE else 1.0
