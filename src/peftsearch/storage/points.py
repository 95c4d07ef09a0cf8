"""Trials as the points that they give a front: the whole trial, and what it was after each of its epochs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from peftsearch.core.constraints import checks_of
from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import value_of
from peftsearch.storage.records import Record


def points_of(records: Iterable[Record], objectives: Sequence[str], *, every_epoch: bool = True) -> list[Record]:
    """Every point that trials give a front, feasible or not.

    Args:
        records: whole trials in any state.
        objectives: the study's, by name.
        every_epoch: whether each epoch counts, as `storage.study_attributes.read_every_epoch` says of a study.

    Returns:
        For each trial its epochs if they count (`epochs_of`), and the whole trial after them if it is complete.
    """
    found: list[Record] = []
    for record in records:
        found += epochs_of(record, objectives) if every_epoch else ()
        if record.state == "complete":
            found.append(record)
    return found


def epochs_of(record: Record, objectives: Sequence[str]) -> tuple[Record, ...]:
    """A trial as it was after each of its epochs: complete, with the scores of the epoch and what it cost until then.

    An epoch of which an objective is not known is left out: all of them in a trial that failed, broke a constraint
    before its end, or was pruned by an older version. So is the best epoch if it has what the whole trial has, and
    therefore is it: both have the same weights.

    Args:
        record: a whole trial in any state. It keeps what is found, since a pruner asks again after every epoch.
        objectives: the study's, by name.
    """
    found = record.by_epoch.get(tuple(objectives))
    if found is None:
        measured = None if record.state == "failed" else record.measurement or record.so_far
        ends = range(1, len(record.curve) + 1) if measured else ()
        each = [_after(epoch, record, measured, objectives) for epoch in ends if measured]
        found = tuple(one for one in each if one is not None and not _is_whole(one, record))
        record.by_epoch[tuple(objectives)] = found
    return found


def _after(epoch: int, record: Record, measured: Measurement, objectives: Sequence[str]) -> Record | None:
    """`record` after an epoch; None if an objective is not known of it."""
    then = measured.after(epoch, record.curve)
    values = {name: value for name in objectives if (value := value_of(name, then)) is not None}
    if len(values) < len(objectives):
        return None
    return replace(
        record,
        state="complete",
        epoch=epoch,
        values=values,
        measurement=then,
        so_far=None,
        curve=record.curve[:epoch],
        checks=checks_of(record.constraints, then),
        reason=None,
        dominated_by=None,
    )


def _is_whole(epoch: Record, whole: Record) -> bool:
    """Whether `epoch` is what the complete trial `whole` is: its last and best epoch, or the best at the same cost."""
    if whole.measurement is None or whole.measurement.best_epoch != epoch.epoch:
        return False
    return epoch.epoch == len(whole.curve) or epoch.values == whole.values
