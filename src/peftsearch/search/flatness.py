"""When a search has become flat: its last trials added next to nothing to what all of them dominate.

`python -m benchmarks.flat` measures on recorded searches after how many trials that is, and what it forgoes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from peftsearch.core.front.volume import share_added
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record

WINDOW = 16
"""So many trials in a row must have added next to nothing. Starting points are not among them.

Trials that were stopped early or failed are: that they are dominated is what tells that little is left to find. If
only finished ones counted, the recorded searches would take 74 and 69 trials where they take 44 and 40."""

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
    """

    trials: int
    objectives: tuple[str, ...]
    every_epoch: bool = False

    def reached(self, records: Sequence[Record]) -> str | None:
        """Why the search ends, in words; None while it goes on. Once it has an answer, that stays.

        Args:
            records: all trials of the study.
        """
        ended = first_ended(records)
        while self.trials <= len(ended):
            added = added_by_last(ended[: self.trials], self.objectives, every_epoch=self.every_epoch)
            if added is not None and added < LEAST:
                return (
                    f"the last {WINDOW} of {self.trials} trials added {100 * added:.2f} % to the hypervolume, less than"
                    f" {100 * LEAST:g} %"
                )
            self.trials += 1
        return None


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
) -> float | None:
    """The share of the hypervolume of `ended` that its last trials have added.

    Args:
        ended: trials that have ended, by number.
        objectives: the study's, by name.
        window: how many trials the last ones are.
        with_starting_points: whether these may be among the last ones.
        every_epoch: whether each epoch of a trial is a point.

    Returns:
        0..1; None if there are not so many trials, a starting point is among the last ones, or there is no point yet.
    """
    last = ended[-window:]
    if len(ended) <= window or (not with_starting_points and any(record.starting_point for record in last)):
        return None
    if not any(point.feasible for point in points_of(ended, objectives, every_epoch=every_epoch)):
        return None
    return added_after(ended, len(ended) - window, objectives, every_epoch=every_epoch)


def added_after(ended: Sequence[Record], count: int, objectives: Sequence[str], *, every_epoch: bool = False) -> float:
    """The share of the hypervolume of `ended` that the trials after the first `count` have added; arguments as above.

    Points that break a constraint add nothing.
    """
    first, rest = (
        [point for point in points_of(some, objectives, every_epoch=every_epoch) if point.feasible]
        for some in (ended[:count], ended[count:])
    )
    values = [[point.values[name] for name in objectives] for point in (*first, *rest)]
    return share_added(values, len(first), objectives)
