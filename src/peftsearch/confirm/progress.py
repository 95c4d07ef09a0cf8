"""How far the runs of `confirm` are: which have ended, which are trained now, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from peftsearch.confirm.plan import Run
from peftsearch.core.config import TrialConfig
from peftsearch.core.points import Point
from peftsearch.results.outlook.pace import seconds_of_trials
from peftsearch.results.status import life_signs
from peftsearch.storage.confirm_queue import REFERENCE_POINT, Repeat, ended_runs, running_runs
from peftsearch.storage.confirmations import SeedRun, read_runs, write_run
from peftsearch.storage.records import Record

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.results.stored_study import StoredStudy

Key = tuple[Point, int]
"""A point (or `REFERENCE_POINT`), and a seed."""


@dataclass(frozen=True)
class ConfirmedRun:
    """A run with another seed that has just ended: number `place` of the `total` runs to do.

    Attributes:
        left: an estimate of the seconds that the other runs still take; None if there is none.
    """

    run: SeedRun
    config: TrialConfig
    place: int
    total: int
    left: float | None = None


@dataclass(frozen=True)
class RunsSoFar:
    """How far the runs are.

    Attributes:
        done: how many have ended.
        total: how many were to do.
        running: those that are trained now, as trials of the queue, with what each of them repeats.
        left: an estimate of the seconds that are left; None before a run has ended or made a step.
    """

    done: int
    total: int
    running: tuple[tuple[Repeat, Record], ...]
    left: float | None


@dataclass
class Progress:
    """Tells of each run of the queue that ends and how far all are, and keeps beside the study how runs failed.

    Attributes:
        runs: those to do.
        expected: point → the seconds that it took in the search, loading and evaluation included.
        on_run: receives each run that has ended.
        on_tick: receives how far the runs are, about once a second.
        seen: the numbers of the queue's trials that had ended before, or that were told of.
        told: the runs that were told of, with the seconds that each has taken: a run that killed its worker is tried
            twice.
    """

    study: Study
    queue: Study
    runs: Sequence[Run]
    expected: Mapping[Point, float]
    on_run: Callable[[ConfirmedRun], None]
    on_tick: Callable[[RunsSoFar], None]
    seen: set[int] = field(init=False)
    told: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.seen = {ended.number for ended in ended_runs(self.queue)}

    def __call__(self, known: Sequence[Record]) -> None:
        """Tell what has changed.

        Args:
            known: the trials of the queue.
        """
        repeats = running_runs(self.queue)
        running = tuple((repeats[record.number], record) for record in known if record.number in repeats)
        self._tell_ended(running)
        self.on_tick(RunsSoFar(len(self.told), len(self.runs), running, self._left(running)))

    def _tell_ended(self, running: Sequence[tuple[Repeat, Record]]) -> None:
        new = [ended for ended in ended_runs(self.queue) if ended.number not in self.seen]
        kept = {(run.point, run.seed): run for run in read_runs(self.study)} if new else {}
        for ended in new:
            self.seen.add(ended.number)
            key = ended.run.point, ended.run.seed
            found = kept.get(key) if ended.run.failure is None else ended.run
            if found is None:
                continue
            if found.failure and (key not in kept or kept[key].failure):
                write_run(self.study, found)
            self.told[key] = found.seconds
            self.on_run(ConfirmedRun(found, ended.config, len(self.told), len(self.runs), self._left(running)))

    def _left(self, running: Sequence[tuple[Repeat, Record]]) -> float | None:
        """The seconds that all runs still take, if each takes as long as in the search, and all as much longer or
        shorter as those that have ended.

        The workers that train now share the runs, but for those that are to be trained alone.
        """
        signs = {_key(repeat, record): life_signs(record) for repeat, record in running}
        if not self.told and all(sign.left is None for sign in signs.values()):
            return None
        before = sum(self.expected.get(point, 0.0) for point, _ in self.told)
        pace = sum(self.told.values()) / before if before else 1.0
        shared = alone = 0.0
        for run in self.runs:
            if run.key in self.told:
                continue
            sign, whole = signs.get(run.key), pace * self.expected.get(run.repeat.point, 0.0)
            rest = whole if sign is None else max(0.0, whole - sign.age) if sign.left is None else sign.left
            if run.repeat.alone:
                alone += rest
            else:
                shared += rest
        return shared / max(1, len(running)) + alone


def seconds_in_the_search(stored: StoredStudy, chosen: Sequence[Record]) -> dict[Point, float]:
    """Point → the seconds that it took in the search; those of its training alone where that is not known."""
    found = {
        record.point: max(record.measurement.duration, *_seconds(record), 0.0)
        for record in chosen
        if record.measurement
    }
    return {**found, REFERENCE_POINT: stored.reference.seconds if stored.reference else 0.0}


def _seconds(record: Record) -> list[float]:
    """The wall time of a trial; of an epoch, that of its training and evaluation until then."""
    return seconds_of_trials([record]) if record.epoch is None else [sum(report.duration for report in record.curve)]


def _key(repeat: Repeat, record: Record) -> Key:
    return repeat.point, record.config.training.seed if record.config else 0
