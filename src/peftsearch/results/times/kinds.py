"""On which kinds of device a study's trials were timed, and which of their seconds compare with each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftsearch.results.times.again import measured_by
from peftsearch.storage.times.calibrations import Work, work_of
from peftsearch.storage.times.scale import Scale

if TYPE_CHECKING:
    from peftsearch.core.measurement import Measurement
    from peftsearch.storage.records import Record


@dataclass(frozen=True)
class ScaledKind:
    """Trials whose seconds were multiplied, so that they are those of the study's reference.

    Attributes:
        work: what these trials compute with.
        timed_in: the kind of their own seconds; `reference` is that of the study's reference.
        trials: their numbers.
        training: by what their training seconds were multiplied.
        evaluation: the same for evaluation, and for the training of what trains no part of an encoder.
    """

    work: Work
    timed_in: str
    reference: str
    trials: tuple[int, ...]
    training: float
    evaluation: float


def timings(records: Sequence[Record]) -> dict[str, tuple[int, ...]]:
    """The finished trials by what their seconds are, the most first; empty if all are of one kind.

    Seconds of different clocks, devices, numbers of threads, and with and without `--exact` are of different kinds.
    Methods without a backbone are timed on the CPU in every study, so they are compared among themselves.
    """
    finished = (record for record in records if record.state == "complete")
    return _several(_by_kind(finished))


def scaled_kinds(records: Sequence[Record], scale: Scale) -> tuple[ScaledKind, ...]:
    """The kinds whose seconds were multiplied, the one with the most trials first."""
    by_kind = _by_kind(record for record in records if _is_scaled(record))
    found = [
        ScaledKind(
            work, kind, scale.references[work].timed_in, tuple(sorted(numbers)), known.training, known.evaluation
        )
        for work, kinds in by_kind.items()
        for kind, numbers in kinds.items()
        if (known := scale.measured.get((work, kind))) is not None
    ]
    return tuple(sorted(found, key=lambda each: -len(each.trials)))


def apart(records: Sequence[Record]) -> dict[str, tuple[int, ...]]:
    """The finished trials by what their seconds are, as `timings` gives them, where these do not compare.

    Seconds that were multiplied do. Of those that were not, one kind is the reference, so several do not compare.
    """
    finished = (record for record in records if record.state == "complete")
    return _several(_by_kind(record for record in finished if not _is_scaled(record)))


def _is_scaled(record: Record) -> bool:
    measured: Measurement | None = measured_by(record)
    return measured is not None and measured.scaled_by is not None


def _by_kind(records: Iterable[Record]) -> Mapping[Work, dict[str, list[int]]]:
    found: dict[Work, dict[str, list[int]]] = {"encoder": {}, "texts": {}}
    for record in records:
        measured = measured_by(record)
        if measured and record.config:
            found[work_of(record.config.method)].setdefault(measured.timed_in, []).append(record.number)
    return found


def _several(by_kind: Mapping[Work, Mapping[str, Sequence[int]]]) -> dict[str, tuple[int, ...]]:
    """The trials of each kind of those kinds of work that have several, the most first."""
    mixed: dict[str, list[int]] = {}
    for kinds in by_kind.values():
        for kind, numbers in kinds.items() if len(kinds) > 1 else ():
            mixed.setdefault(kind, []).extend(numbers)
    return {kind: tuple(sorted(mixed[kind])) for kind in sorted(mixed, key=lambda each: -len(mixed[each]))}
