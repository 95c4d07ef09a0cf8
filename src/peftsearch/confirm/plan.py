"""Which runs confirm a study: which trials, with which seeds, under the conditions of the search, in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.methods.table import ENCODER_METHODS, METHODS
from peftsearch.results.front import Row, best_of_trials, whole_trials
from peftsearch.results.naming import STATES, epochs_instead
from peftsearch.results.reference import SETTINGS
from peftsearch.storage.confirm_queue import REFERENCE, Repeat
from peftsearch.storage.confirmations import SeedRun
from peftsearch.storage.records import Record

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy

BEST, SEEDS = 8, 3
"""How many points are confirmed by default, and with how many seeds."""

HOPELESS = "not_finite"
"""The kind of failure that another try with the same seed would only repeat."""


@dataclass(frozen=True)
class Run:
    """One run to do: the configuration with its seed, and what it repeats."""

    config: TrialConfig
    repeat: Repeat

    @property
    def key(self) -> tuple[Point, int]:
        """The point, and the seed."""
        return self.repeat.point, self.config.training.seed

    def alone(self) -> Run:
        """The same run, to be trained while no other one is."""
        return Run(self.config, replace(self.repeat, alone=True))


def chosen_points(stored: StoredStudy, trials: Sequence[int | str | Point], best: int = BEST) -> list[Record]:
    """The points that `trials` names, each once; by default the front and its runners-up.

    Args:
        trials: trials, epochs as `7@3`, or `best`; none for the default.
        best: how many points the default takes (`default_points`).

    Raises:
        UserError: a trial is missing or unfinished, or no trial has finished.
    """
    if not trials:
        stored.nonempty_front()
        return [row.record for row in default_points(stored.points(), best)]
    found = {record.point: record for record in map(stored.trial, trials)}
    for record in found.values():
        if record.state != "complete" or record.config is None:
            raise UserError(f"--trial {record.point}: {STATES[record.state]}{_what_can_be(stored, record)}")
    return list(found.values())


def _what_can_be(stored: StoredStudy, unfinished: Record) -> str:
    """What can be trained again in place of a trial that has no end."""
    if instead := epochs_instead(unfinished, stored.objectives):
        return f"; {instead}"
    finished = ", ".join(str(row.point) for row in stored.rows()) or "none"
    return f", and only complete trials can be trained again: {finished}"


def default_points(points: Sequence[Row], best: int = BEST) -> list[Row]:
    """What is confirmed unless someone says otherwise: each trial of the front at its best point on it, and, if these
    are fewer than `best`, the whole trials next in quality.

    No runner-up breaks a constraint of the study.

    Args:
        points: every point, best quality first.
        best: how many there are to be, at least.
    """
    chosen = best_of_trials([row for row in points if row.on_front])
    taken = {row.point.trial for row in chosen}
    others = [row for row in whole_trials(points) if row.point.trial not in taken and row.record.feasible]
    return [*chosen, *others[: max(0, best - len(chosen))]]


def missing_runs(stored: StoredStudy, chosen: Sequence[Record], seeds: int, known: Sequence[SeedRun]) -> list[Run]:
    """The runs still to do: every point with the first seed, then with the next, and the reference once.

    A stop therefore leaves trials with the same seeds, which can be compared.
    """
    done = {(run.point, run.seed) for run in known if is_over(run)}
    planned = [
        (place, Run(config, _conditions(record)))
        for record in chosen
        if record.config
        for place, config in enumerate(reseeded(_as_computed(record), seeds))
    ]
    planned += [(0, run) for run in _reference(stored, chosen)]
    ordered = [run for _, run in sorted(planned, key=lambda plan: plan[0])]
    return [run for run in ordered if run.key not in done]


def is_over(run: SeedRun) -> bool:
    """Whether a run need not be done again: it failed for good, or has kept its predictions of the test rows."""
    return run.failure["kind"] == HOPELESS if run.failure else run.rows is not None


def reseeded(config: TrialConfig, seeds: int) -> Iterator[TrialConfig]:
    """The same configuration with the next `seeds` seeds; with one seed if its method is not random."""
    for step in range(1, (seeds if METHODS[config.method].random else 1) + 1):
        yield replace(config, training=replace(config.training, seed=config.training.seed + step))


def alone_last(runs: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs that several workers may train at once, and the last run of each point, which is to be trained alone."""
    last = {run.repeat.point: run for run in runs}
    return [run for run in runs if run is not last[run.repeat.point]], [run.alone() for run in last.values()]


def unknown_conditions(chosen: Sequence[Record]) -> list[Point]:
    """The points of an earlier version, which kept neither the number of threads nor whether they were exact."""
    return [record.point for record in chosen if record.measurement and record.measurement.exact is None]


def _conditions(record: Record) -> Repeat:
    measured = record.measurement
    if measured is None:
        return Repeat(record.number)
    return Repeat(
        record.number, measured.threads, bool(measured.exact), cut_after=measured.cut_after, epoch=record.epoch
    )


def _as_computed(record: Record) -> TrialConfig:
    """The trial's configuration in the number format that it was computed in, where it left the choice open."""
    config, measured = record.config, record.measurement
    assert config is not None, "a finished trial has a configuration"
    if measured is None or config.method not in ENCODER_METHODS:
        return config
    return replace(config, training=replace(config.training, precision=measured.precision))


def _reference(stored: StoredStudy, chosen: Sequence[Record]) -> Iterator[Run]:
    """The run of the reference, if the search has measured one."""
    config = chosen[0].config
    if stored.reference and config:
        again = replace(config, method="tfidf", settings=SETTINGS)
        yield from (Run(seeded, Repeat(REFERENCE)) for seeded in reseeded(again, 1))
