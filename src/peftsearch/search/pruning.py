"""The rules that stop a running trial early. Each is a pure function of what all trials have reported so far.

`core.strategies.PRUNERS` names each rule in one line. A rule that looks at quality alone stops cheap methods because an
expensive one is better, and the front loses its cheap half; `dominated` therefore looks at all objectives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from peftsearch.core.front.pareto import dominates, losses_of
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import find_objective, is_metric
from peftsearch.core.strategies import PRUNERS, load_strategy
from peftsearch.search.forecast import config_of, ends_now, possible_ends, same_method
from peftsearch.storage.points import epochs_of, points_of
from peftsearch.storage.records import Record

MEDIAN_NEEDS = 5
"""The median is taken over at least this many trials of the same method."""


@dataclass(frozen=True)
class Decision:
    """The decision to stop a trial.

    Attributes:
        reason: one line for people.
        dominated_by: the number of the trial that dominates the forecast of this one; None if none but itself does.
    """

    reason: str
    dominated_by: int | None = None


class Rule(Protocol):
    """A running trial, the other trials of the study and the objectives' names → the decision to stop it, or None.

    `every_epoch` says whether each epoch of a trial is a point of the front, and `front` what is known of it.
    """

    def __call__(
        self,
        trial: Record,
        others: Sequence[Record],
        objectives: Sequence[str],
        *,
        every_epoch: bool = False,
        front: Sequence[Record] | None = None,
    ) -> Decision | None: ...


def decide(
    rule: str,
    trial: Record,
    others: Sequence[Record],
    objectives: Sequence[str],
    *,
    every_epoch: bool = False,
    front: Sequence[Record] | None = None,
) -> Decision | None:
    """Decide whether `trial` is stopped after the last epoch of its curve.

    Args:
        rule: a key of `core.strategies.PRUNERS`.
        trial: a running trial. It goes on if it has reported nothing or if training ends now by itself.
        others: all trials of the study; `trial` itself may be among them.
        objectives: the study's objectives, by name.
        every_epoch: whether each epoch of a trial is a point of the study's front.
        front: those points of `others` that no other one dominates, if they are known. More of them change nothing.

    Returns:
        The decision to stop the trial, or None if it goes on.
    """
    if trial.config is None or not trial.curve or ends_now(trial.config, trial.curve):
        return None
    others = [other for other in others if other.number != trial.number]
    return find_rule(rule)(trial, others, objectives, every_epoch=every_epoch, front=front)


def find_rule(name: str) -> Rule:
    """Return the rule that a key of `core.strategies.PRUNERS` names."""
    rule: Rule = load_strategy(PRUNERS, name)
    return rule


def never(
    trial: Record,
    others: Sequence[Record],
    objectives: Sequence[str],
    *,
    every_epoch: bool = False,
    front: Sequence[Record] | None = None,
) -> Decision | None:
    """Let every trial run to its end."""
    return None


def median(
    trial: Record,
    others: Sequence[Record],
    objectives: Sequence[str],
    *,
    every_epoch: bool = False,
    front: Sequence[Record] | None = None,
) -> Decision | None:
    """Stop a trial whose best score so far is below the median of the same method's trials at the same epoch."""
    metric, now = config_of(trial).selection, len(trial.curve)
    peers = [
        best_score(other.curve, metric, now)
        for other in others
        if other.state in ("complete", "pruned") and same_method(trial, other)
        if len(other.curve) >= now and other.feasible
    ]
    mine = best_score(trial.curve, metric, now)
    if len(peers) < MEDIAN_NEEDS or mine >= float(np.median(peers)):
        return None
    return Decision(
        f"at best {metric} {mine:.3f} by epoch {now}; the median of {len(peers)} {config_of(trial).method} trials"
        f" is {np.median(peers):.3f}"
    )


def dominated(
    trial: Record,
    others: Sequence[Record],
    objectives: Sequence[str],
    *,
    every_epoch: bool = False,
    front: Sequence[Record] | None = None,
) -> Decision | None:
    """Stop a trial once a finished trial dominates its optimistic forecast, for every epoch after which it could end.

    Where each epoch is a point of the front, it could end after any; and whatever trials have reached so far counts as
    a finished trial does, epochs of this one and of those that were stopped among it.

    A finished trial that breaks a constraint stops no other, since it is not on the front itself. The study's tolerance
    plays no part here: a point that is only within it of a finished trial may be on the front once later trials have
    finished, but what is dominated never is.

    The forecast of quality and time is what the luckiest tenth of earlier trials came to (`search/forecast.py`), so a
    trial that would have beaten it is stopped by mistake. The first trial of a method is never stopped: a study
    compares methods, so each method is measured to its end once.
    """
    finished = [other for other in others if other.state == "complete"]
    if not any(same_method(trial, other) for other in finished):
        return None
    known = points_of(others, objectives, every_epoch=every_epoch) if front is None else front
    own = epochs_of(trial, objectives) if every_epoch else ()
    feasible = [point for point in (*known, *own) if point.feasible]
    losses = losses_of([[point.values[name] for name in objectives] for point in feasible], objectives)
    by = None
    for epochs, end in possible_ends(trial, finished, objectives, every_epoch=every_epoch):
        rivals = np.flatnonzero(dominates(losses, end))
        if not len(rivals):
            return None
        if by is None or epochs == config_of(trial).training.epochs:
            by = feasible[rivals[np.lexsort(losses[rivals].T[::-1])[0]]]
    if by is None:
        return None
    return Decision(_because(trial, by, objectives), by.number if by.number != trial.number else None)


def best_score(curve: Sequence[EpochReport], metric: str, epochs: int) -> float:
    """The best value of `metric` within the first `epochs` of `curve`."""
    return max(report.metrics[metric] for report in curve[:epochs])


def _because(trial: Record, by: Record, objectives: Sequence[str]) -> str:
    """`at best macro_f1 0.712 by epoch 4; trial 7 has 0.731 with 1,920 parameters in 8.1 s`"""
    now = len(trial.curve)
    own = ", ".join(f"{name} {best_score(trial.curve, name, now):.3f}" for name in objectives if is_metric(name))
    return f"at best {own} by epoch {now}; {by.point.in_words} has {_in_words(by, objectives)}"


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
