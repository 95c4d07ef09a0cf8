"""The points of a search's ended trials against which a new one is compared: each trial is looked at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from peftsearch.core.front.pareto import losses_of, non_dominated
from peftsearch.core.points import Point
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record, ended_records
from peftsearch.storage.study_attributes import read_every_epoch

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study

_FRONTS: WeakKeyDictionary[BaseStorage, dict[tuple[str, bool, tuple[str, ...]], GrowingFront]] = WeakKeyDictionary()
"""By storage, then by the study's name, whether every epoch counts, and the objectives."""


def known_front(study: Study, objectives: Sequence[str]) -> list[Record]:
    """What `comparable` leaves of the points of the trials that have ended."""
    every_epoch = read_every_epoch(study)
    fronts = _FRONTS.setdefault(storage_of(study), {})
    front = fronts.setdefault(
        (study.study_name, every_epoch, tuple(objectives)), GrowingFront(objectives, every_epoch=every_epoch)
    )
    return front.of(ended_records(study))


class GrowingFront:
    """What `comparable` leaves of the points of trials, of which there are more each time.

    A point that is left out once would be left out for ever, so only new trials are compared with what was left.

    Args:
        objectives: the study's, by name.
        every_epoch: whether each epoch of a trial is a point.
    """

    def __init__(self, objectives: Sequence[str], *, every_epoch: bool) -> None:
        self._objectives = tuple(objectives)
        self._every_epoch = every_epoch
        self._last: tuple[dict[int, Record], list[Record]] = ({}, [])

    def of(self, trials: Sequence[Record]) -> list[Record]:
        """The points left of `trials`: ended ones in the order of their numbers, so that none of them changes."""
        seen, points = self._last
        if sum(seen.get(trial.number) is trial for trial in trials) < len(seen):
            seen, points = {}, []  # these are other trials than last time
        new = [trial for trial in trials if trial.number not in seen]
        if new:
            found = [*points, *points_of(new, self._objectives, every_epoch=self._every_epoch)]
            points = comparable(sorted(found, key=lambda point: point.point.order), self._objectives)
            self._last = {**seen, **{trial.number: trial for trial in new}}, points
        return list(points)


def comparable(points: Iterable[Record], objectives: Sequence[str]) -> list[Record]:
    """Those of the points that say of any other one whether a point dominates it, and whose weights are kept.

    Returns:
        In their order, those that break no constraint and are on the front of all points, or on that of whole trials,
        or are the whole trial of such a point.
    """
    feasible = [point for point in points if point.feasible]
    front = on_a_front(feasible, objectives)
    trials = {point.trial for point in front}
    return [one for one in feasible if one.point in front or (one.epoch is None and one.number in trials)]


def on_a_front(points: Sequence[Record], objectives: Sequence[str]) -> set[Point]:
    """Those of the points that no other one dominates, and the whole trials that no other whole trial dominates."""
    whole = [point for point in points if point.epoch is None]
    return undominated(points, objectives) | undominated(whole, objectives)


def undominated(points: Sequence[Record], objectives: Sequence[str]) -> set[Point]:
    """Those of the points that no other one dominates."""
    front = non_dominated(losses_of([[point.values[name] for name in objectives] for point in points], objectives))
    return {record.point for record, on_front in zip(points, front, strict=True) if on_front}
