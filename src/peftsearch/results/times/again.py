"""A front by the times that were measured again, alone: which trials that takes, and what it changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from peftsearch.core.calls.precedence import of_study
from peftsearch.core.constraints import checks_of
from peftsearch.core.front.pareto import Array, dominates, losses_of, non_dominated
from peftsearch.core.objectives import TIMING_NOISE
from peftsearch.methods.table import METHODS
from peftsearch.results.times.sharing import sharing
from peftsearch.storage.points import epochs_of, points_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.retiming import seconds_again
from peftsearch.storage.study_attributes import read_every_epoch

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.core.measurement import Clock, Measurement

TRAINING = "train_seconds"
"""The only objective that is measured again."""

Seconds = Mapping[int, tuple[float, ...]]
"""Trial → the training seconds of each of its epochs."""


def records_of(study: Study, objectives: Sequence[str], every_epoch: bool | None = None) -> list[Record]:
    """Every trial of a study by number, as `timed_again` gives them.

    Args:
        every_epoch: whether each epoch is a point; None for what the study says.
    """
    found, seconds = records(study), seconds_again(study)
    if not seconds:
        return found
    return timed_again(found, objectives, seconds, every_epoch=of_study(every_epoch, read_every_epoch(study)))


def times_in_words(study: Study, objectives: Sequence[str], every_epoch: bool | None = None) -> list[str]:
    """A line on the times that were measured again, or on why those of the search are shown; empty without any."""
    seconds = seconds_again(study)
    if not seconds:
        return []
    chosen = candidates(records(study), objectives, every_epoch=of_study(every_epoch, read_every_epoch(study)))
    missing = sum(record.number not in seconds for record in chosen)
    if not missing:
        return ["the train times of the trials that may be on the front were measured again, alone and in turns"]
    trials = "1 trial that may be on it was" if missing == 1 else f"{missing} trials that may be on it were"
    again = "peftsearch optimize does that at its end"
    return [f"the front has the train times of the search, because {trials} not yet measured again, alone; {again}"]


def measured_by(record: Record) -> Measurement | None:
    """What a trial has measured, until it was pruned if it was."""
    return record.measurement or record.so_far


def candidates(
    records: Sequence[Record],
    objectives: Sequence[str],
    *,
    every_epoch: bool,
    clocks: Sequence[Clock] = ("wall",),
) -> list[Record]:
    """The trials that may give the front a point once their times are those of training alone.

    Trials that share a GPU take at most as many times longer as there are trials on it, beside the noise of times. A
    trial is left out if each of its points is dominated even with the shortest time that it may have, by points with
    the times of the search.

    Args:
        records: whole trials in any state, with the times of the search.
        objectives: the study's, by name.
        every_epoch: whether each epoch is a point, as `storage.study_attributes.read_every_epoch` says.
        clocks: whose times are measured again. Processor seconds need not be, because other work hardly changes them.
    """
    timed = [record for record in records if _is_timed(record, clocks)]
    if TRAINING not in objectives or not timed:
        return []
    shared = sharing(records)
    known = _losses((p for p in points_of(records, objectives, every_epoch=every_epoch) if p.feasible), objectives)
    known = known[non_dominated(known)]
    found = []
    for record in timed:
        least = points_of([_at_least(record, shared.get(record.number, 1))], objectives, every_epoch=every_epoch)
        own = _losses((point for point in least if point.feasible), objectives)
        found += [record] if any(not dominates(known, losses).any() for losses in own) else []
    return found


def share_a_device(records: Sequence[Record], chosen: Iterable[Record]) -> bool:
    """Whether one of the `chosen` trials was timed while another of the `records` used its GPU."""
    shared = sharing(records)
    return any(shared.get(record.number, 1) > 1 for record in chosen)


def timed_again(
    records: Sequence[Record], objectives: Sequence[str], seconds: Seconds, *, every_epoch: bool
) -> list[Record]:
    """The same trials, with the times that were measured again if those of all candidates were.

    If one of them was not measured again, say because it is newer, every trial keeps the times of the search: a front
    never mixes the two.
    """
    if not has_all(candidates(records, objectives, every_epoch=every_epoch), seconds):
        return list(records)
    return [_timed(record, seconds.get(record.number), objectives) for record in records]


def has_all(chosen: Iterable[Record], seconds: Seconds) -> bool:
    """Whether the times of all these trials were measured again."""
    return all(record.number in seconds for record in chosen)


def with_seconds(point: Record, seconds: Sequence[float]) -> Record:
    """A trial, or one of its epochs, with these training seconds in place of those of the search, which it keeps too.

    Args:
        seconds: of each epoch of the trial.
    """
    until, curve = seconds[: point.epoch], point.curve
    curve = tuple(replace(epoch, train_seconds=took) for epoch, took in zip(curve, until, strict=False)) or curve
    measured = point.measurement
    if measured is None:
        return replace(point, curve=curve)
    timed = replace(measured, train_seconds=sum(until), searched_train_seconds=measured.train_seconds)
    values = {**point.values, TRAINING: timed.train_seconds} if TRAINING in point.values else point.values
    checks = checks_of(point.constraints, timed)
    return replace(point, measurement=timed, curve=curve, values=values, checks=checks)


def _timed(record: Record, seconds: Sequence[float] | None, objectives: Sequence[str]) -> Record:
    measured = measured_by(record)
    if seconds is None or measured is None:
        return record
    seconds = [each * (measured.scaled_by or 1.0) for each in seconds]  # they are the device's own
    found = with_seconds(record, seconds)
    # Made of the epochs with the times of the search, which they keep beside the new ones.
    found.by_epoch[tuple(objectives)] = tuple(with_seconds(epoch, seconds) for epoch in epochs_of(record, objectives))
    return found


def _at_least(record: Record, shared: int) -> Record:
    """The trial with the shortest times that it may have alone, if so many trials shared its device."""
    measured = measured_by(record)
    assert measured is not None
    searched = [epoch.train_seconds for epoch in record.curve] or [measured.train_seconds]
    return with_seconds(record, [seconds / shared / (1 + TIMING_NOISE) for seconds in searched])


def _is_timed(record: Record, clocks: Sequence[Clock]) -> bool:
    """Whether the trial has ended with points, and has trained an encoder by one of these clocks."""
    measured = measured_by(record)
    if record.state not in ("complete", "pruned") or measured is None or record.config is None:
        return False
    return METHODS[record.config.method].takes_steps and measured.clock in clocks


def _losses(points: Iterable[Record], objectives: Sequence[str]) -> Array:
    return losses_of([[point.values[name] for name in objectives] for point in points], objectives)
