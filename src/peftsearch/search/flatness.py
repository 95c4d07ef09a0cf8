"""When a search has become flat: its last trials added next to nothing to what all of them dominate.

A trial adds nothing if an earlier one is worse by no more than the study's tolerance in any objective, so that a search
does not go on because of the noise of its times. `python -m benchmarks.flat` measures on recorded searches after how
many trials a search is flat, and what it forgoes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.front.pareto import front_of, matches
from peftsearch.core.front.tolerance import EXACT, Tolerance
from peftsearch.core.front.volume import share_added
from peftsearch.storage.database import objective_names
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import read_every_epoch, read_tolerance

if TYPE_CHECKING:
    from optuna.study import Study

WINDOW = 16
"""So many trials in a row must have added next to nothing. Starting points are not among them.

Trials that were stopped early or failed are: that they are dominated is what tells that little is left to find. If
only finished ones counted, the recorded searches would take 60 and 46 trials where they take 40 and 29."""

LEAST = 0.005
"""The share of the hypervolume that they must have added for the search to go on."""


@dataclass
class Flatness:
    """Decides whether a search is flat, in the same way in each of its processes, without a word between them.

    Whether it is flat after n trials is judged by the first n alone, once all of them have ended. What has ended never
    changes, so the first n at which the search is flat is the same whoever looks, and whatever ends later.

    Attributes:
        trials: the least n that is still to be judged; at first, how many trials had ended when the search began.
        objectives: the study's, by name.
        every_epoch: whether each epoch of a trial is a point.
        tolerance: within which the study's values count as equal.
    """

    trials: int
    objectives: tuple[str, ...]
    every_epoch: bool = False
    tolerance: Tolerance = field(default_factory=lambda: EXACT)

    def reached(self, records: Sequence[Record]) -> str | None:
        """Why the search ends, in words; None while it goes on. Once it has an answer, that stays.

        Args:
            records: all trials of the study.
        """
        ended = first_ended(records)
        while self.trials <= len(ended):
            added = added_by_last(
                ended[: self.trials], self.objectives, every_epoch=self.every_epoch, tolerance=self.tolerance
            )
            if added is not None and added < LEAST:
                return (
                    f"the last {WINDOW} of {self.trials} trials added {100 * added:.2f} % to the hypervolume, less than"
                    f" {100 * LEAST:g} %"
                )
            self.trials += 1
        return None


def flatness_of(study: Study, first: int | None) -> Flatness | None:
    """How `study` becomes flat, judged from its first `first` trials on; None if it does not end when it is flat."""
    if first is None:
        return None
    return Flatness(first, objective_names(study), read_every_epoch(study), read_tolerance(study))


def first_ended(records: Sequence[Record]) -> list[Record]:
    """The trials that count, by number, up to the first one that has not ended."""
    return list(takewhile(lambda record: record.done, (record for record in records if record.counts)))


def added_by_last(
    ended: Sequence[Record],
    objectives: Sequence[str],
    window: int = WINDOW,
    *,
    with_starting_points: bool = False,
    every_epoch: bool = False,
    tolerance: Tolerance = EXACT,
) -> float | None:
    """The share of the hypervolume of `ended` that its last trials have added.

    Args:
        ended: trials that have ended, by number.
        objectives: the study's, by name.
        window: how many trials the last ones are.
        with_starting_points: whether these may be among the last ones.
        every_epoch: whether each epoch of a trial is a point.
        tolerance: a point of the last trials adds nothing if one of the others is as good within this tolerance.

    Returns:
        0..1; None if there are not so many trials, a starting point is among the last ones, or there is no point yet.
    """
    if not has_window(ended, window, with_starting_points=with_starting_points):
        return None
    if not any(point.feasible for point in points_of(ended, objectives, every_epoch=every_epoch)):
        return None
    return added_after(ended, len(ended) - window, objectives, every_epoch=every_epoch, tolerance=tolerance)


def has_window(ended: Sequence[Record], window: int = WINDOW, *, with_starting_points: bool = False) -> bool:
    """Whether there are more trials than the last ones, and no starting point is among these unless it may be."""
    return len(ended) > window and (with_starting_points or not any(r.starting_point for r in ended[-window:]))


def added_after(
    ended: Sequence[Record],
    count: int,
    objectives: Sequence[str],
    *,
    every_epoch: bool = False,
    tolerance: Tolerance = EXACT,
) -> float:
    """The share of the hypervolume of `ended` that the trials after the first `count` have added; arguments as above.

    Points that break a constraint add nothing.
    """
    first, rest = (
        [
            [point.values[name] for name in objectives]
            for point in points_of(some, objectives, every_epoch=every_epoch)
            if point.feasible
        ]
        for some in (ended[:count], ended[count:])
    )
    reached = [first[place] for place in np.flatnonzero(front_of(first, objectives, EXACT))]
    new = [values for values in rest if not matches(reached, values, objectives, tolerance).any()]
    return share_added([*first, *new], len(first), objectives) if new else 0.0
