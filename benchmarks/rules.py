"""Rules for stopping trials that `benchmarks/replay.py` compares; those of `core.strategies.PRUNERS` are among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from peftsearch.core.front.pareto import Array, as_losses, matches, non_dominated
from peftsearch.core.objectives import directions_of
from peftsearch.search import extrapolation, forecast, pruning
from peftsearch.search.pruning import Decision
from peftsearch.storage.records import Record

Curves = Sequence[Sequence[float]]
Extrapolation = Callable[[Sequence[float], Curves, int, Curves], float]
"""A curve, all others, the number of epochs and those of the others that are of the same method → the best value."""

Rule = Callable[[Record, Sequence[Record], Sequence[str]], Decision | None]
"""A running trial, the other trials and the objectives' names → the decision to stop it, or None."""

RUNGS, REDUCTION = (1, 2, 4), 2
"""Successive halving decides at these epochs, and lets one trial in so many go on."""


def median_of_all(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """Optuna's median rule: worse by this epoch than the median of all trials."""
    everything = [replace(other, config=trial.config) for other in others]
    return pruning.median(trial, everything, objectives)


def every_epoch_dominated(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """The rule `dominated` where each epoch is a point of the front."""
    return pruning.dominated(trial, others, objectives, every_epoch=True)


def halving(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """The stopping form of MO-ASHA: at a rung, a trial goes on if its rank is among the best share of all trials there.

    Source: Schmucker et al., "Multi-objective Asynchronous Successive Halving" (2021), non-dominated sorting.
    """
    epoch = len(trial.curve)
    if epoch not in RUNGS:
        return None
    rivals = [other for other in others if len(other.curve) >= epoch]
    losses = as_losses([_so_far(record, epoch) for record in (*rivals, trial)], ("maximize", "minimize", "minimize"))
    rank = ranks(losses)
    ahead = int((rank[:-1] < rank[-1]).sum())
    return (
        Decision(f"{ahead} of {len(rivals)} were better at epoch {epoch}") if ahead > len(rivals) / REDUCTION else None
    )


def ranks(losses: Array) -> Array:
    """The non-domination rank of each row, 0 for the front. Shape (points,)."""
    found = np.zeros(len(losses))
    left = np.arange(len(losses))
    for front in range(len(losses)):
        first = non_dominated(losses[left])
        found[left[first]] = front
        left = left[~first]
        if not len(left):
            break
    return found


def dominated_by(extrapolation: Extrapolation, *, every_epoch: bool = False) -> Rule:
    """The rule `dominated` with another function that extrapolates learning curves."""

    def rule(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
        with extrapolating(extrapolation):
            return pruning.dominated(trial, others, objectives, every_epoch=every_epoch)

    return rule


def within_the_tolerance(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
    """The rule `dominated`, which also stops a trial that a finished one would match within the tolerance."""
    signs = as_losses(np.ones((1, len(objectives))), directions_of(objectives))[0]
    before = pruning.dominates
    pruning.dominates = lambda losses, point: matches(losses * signs, point * signs, objectives)
    try:
        return pruning.dominated(trial, others, objectives)
    finally:
        pruning.dominates = before


def told_the_end(finished: Sequence[Record]) -> Rule:
    """The rule `dominated` with every curve's true end as its forecast, which is the most that it can save."""

    def rule(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
        end = next(record.values["macro_f1"] for record in finished if record.config is trial.config)
        with extrapolating(lambda curve, others, epochs, alike: end):
            return pruning.dominated(trial, others, objectives)

    return rule


def told_the_epochs(finished: Sequence[Record]) -> Rule:
    """The rule for epochs with what each epoch truly came to, or an earlier one, as its forecast."""

    def rule(trial: Record, others: Sequence[Record], objectives: Sequence[str]) -> Decision | None:
        bests = next(record.bests("macro_f1") for record in finished if record.config is trial.config)
        with extrapolating(lambda curve, others, epochs, alike: bests[epochs - 1]):
            return every_epoch_dominated(trial, others, objectives)

    return rule


@contextmanager
def extrapolating(how: Extrapolation) -> Iterator[None]:
    """Within it, `dominated` forecasts metrics with the function `how`."""
    before = forecast.optimistic_best
    forecast.optimistic_best = how
    try:
        yield
    finally:
        forecast.optimistic_best = before


def power_law(curve: Sequence[float], others: Curves, epochs: int, alike: Curves) -> float:
    return at_least_now(curve, epochs, extrapolation.by_power_law(curve, epochs))


def methods_alike(curve: Sequence[float], others: Curves, epochs: int, alike: Curves) -> float:
    """The forecast as it was before: curves of all methods count the same."""
    ends = extrapolation.by_power_law(curve, epochs), extrapolation.by_ratio(curve, others, epochs)
    found = [end for end in ends if end is not None]
    return at_least_now(curve, epochs, max(found, default=None))


def ratio(curve: Sequence[float], others: Curves, epochs: int, alike: Curves) -> float:
    return at_least_now(curve, epochs, extrapolation.by_ratio(curve, others, epochs))


def no_further(curve: Sequence[float], others: Curves, epochs: int, alike: Curves) -> float:
    return max(curve)


def at_least_now(curve: Sequence[float], epochs: int, end: float | None) -> float:
    """The best score so far or the forecast `end`, whichever is larger; 1.0, which rules nothing out, without one."""
    return max(curve) if epochs <= len(curve) else max(*curve, 1.0 if end is None else end)


def _so_far(record: Record, epoch: int) -> tuple[float, float, float]:
    curve = record.curve[:epoch]
    return (
        max(report.metrics["macro_f1"] for report in curve),
        float(max(report.trainable_parameters for report in curve)),
        sum(report.train_seconds for report in curve),
    )


RULES: dict[str, Rule] = {
    "none": pruning.never,
    "median of all on F1": median_of_all,
    "median within the method": pruning.median,
    "MO-ASHA": halving,
    "dominated now": dominated_by(no_further),
    "dominated, power law": dominated_by(power_law),
    "dominated, ratios": dominated_by(ratio),
    "dominated": pruning.dominated,
    "dominated within the tolerance": within_the_tolerance,
    "dominated, methods alike": dominated_by(methods_alike),
    "every epoch dominated": every_epoch_dominated,
    "every epoch dominated, methods alike": dominated_by(methods_alike, every_epoch=True),
}
"""The rules that `replay.py` compares; `told_the_end` makes one more for each table."""
