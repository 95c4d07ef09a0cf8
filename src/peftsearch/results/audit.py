"""How far the result of a search can be trusted: what each method was given, and what speaks against its place."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from peftsearch.core.dimensions import Choice, Dimension, Range, Scalar, extremes
from peftsearch.core.versions import by_versions
from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import dimension_in_words
from peftsearch.results.front import Row, best_of_methods
from peftsearch.results.times.kinds import ScaledKind, apart, scaled_kinds, timings
from peftsearch.results.times.sharing import beside_others
from peftsearch.storage.searched_space import searched_space
from peftsearch.storage.times.scale import Scale, scale_of
from peftsearch.study.methods_section import valid_values
from peftsearch.study.suggest import METHOD

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record

EDGE = 0.05
"""The share of a range, on its own scale, that counts as its edge."""

FEW = 3
"""Fewer finished trials than these say little about a method that has something to search."""

STILL_FALLING = 0.01
"""The share by which the validation loss must fall in the last epoch for more epochs to be worth a try."""


@dataclass(frozen=True)
class SearchedDimension:
    """One hyperparameter of a method as it was searched.

    Attributes:
        name: without its method's.
        dimension: what it was drawn from.
        tried: how many different values the finished trials have.
        best: its value in the method's best trial; None if that has none.
        edge: the end of the dimension at which `best` lies, if it lies at one beyond which other values are valid.
    """

    name: str
    dimension: Dimension
    tried: int
    best: Scalar | None
    edge: Literal["low", "high"] | None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "dimension": dimension_in_words(self.dimension)}


@dataclass(frozen=True)
class MethodAudit:
    """What one method was given, and what came of it.

    Attributes:
        finished: how many of its trials have finished; `pruned`, `failed` and `open` likewise.
        epochs: the epochs of all its trials.
        best: the number of its best trial by quality; None if none has finished.
        dimensions: what was searched.
        few: whether too few of its trials have finished to say much about it. Of a method of which nothing is searched,
            one is enough.
        still_falling: the share by which the validation loss of its best trial fell in the last epoch, if that is so
            much that the trial was not trained to its end; else None.
    """

    method: str
    finished: int
    pruned: int
    failed: int
    open: int
    epochs: int
    best: int | None
    dimensions: tuple[SearchedDimension, ...]
    few: bool
    still_falling: float | None

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "dimensions": [found.to_dict() for found in self.dimensions]}


@dataclass(frozen=True)
class Audit:
    """How far a study's result can be trusted.

    Attributes:
        methods: every method of the study, whether it has trials or not.
        finished: how many trials have finished.
        beside_others: those of them, timed by the wall clock, during which another trial ran on the same device, so
            that they took longer.
        timings: what `results.times.kinds.timings` finds.
        apart: those of them that do not compare.
        scaled: the kinds of device whose seconds were multiplied, so that they do.
        timed_again: the trials whose training time was measured again, alone.
        versions: the finished trials by the versions of packages that not all of them had alike; empty if all had.
    """

    methods: tuple[MethodAudit, ...]
    finished: int
    beside_others: tuple[int, ...]
    timings: Mapping[str, tuple[int, ...]]
    timed_again: tuple[int, ...]
    apart: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    scaled: tuple[ScaledKind, ...] = ()
    versions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "methods": [found.to_dict() for found in self.methods]}


def audit(stored: StoredStudy) -> Audit:
    """Look through every trial of a study."""
    return audit_of(stored.records(), stored.rows(), searched_space(stored.study), scale_of(stored.study))


def audit_of(
    records: Sequence[Record], rows: Sequence[Row], space: Mapping[str, Dimension], scale: Scale | None = None
) -> Audit:
    """Look through the trials `records`.

    Args:
        rows: the finished ones, best quality first.
        space: the dimension of each parameter by Optuna's name of it.
        scale: on which their seconds were read, if the devices were timed.
    """
    best = {row.config.method: row.record for row in best_of_methods(rows)}
    named = space.get(METHOD)
    names = {str(name) for name in extremes(named)} if named else set()
    names |= {record.config.method for record in records if record.config}
    methods = tuple(_method(name, records, best.get(name), space) for name in sorted(names))
    timed_again = tuple(r.number for r in records if r.measurement and r.measurement.searched_train_seconds is not None)
    had = {r.number: r.measurement.versions for r in records if r.state == "complete" and r.measurement}
    return Audit(
        methods,
        len(rows),
        beside_others(records),
        timings(records),
        timed_again,
        apart(records),
        scaled_kinds(records, scale or Scale()),
        by_versions(had),
    )


def _method(name: str, records: Sequence[Record], best: Record | None, space: Mapping[str, Dimension]) -> MethodAudit:
    own = [record for record in records if record.config and record.config.method == name]
    finished = [record for record in own if record.state == "complete"]
    prefix = f"{name}."
    dimensions = tuple(
        _searched(name, parameter.removeprefix(prefix), dimension, finished, best)
        for parameter, dimension in space.items()
        if parameter.startswith(prefix)
    )
    states = Counter(record.state for record in own)
    return MethodAudit(
        method=name,
        finished=states["complete"],
        pruned=states["pruned"],
        failed=states["failed"],
        open=states["running"] + states["waiting"],
        epochs=sum(len(record.curve) for record in own),
        best=best.number if best else None,
        dimensions=dimensions,
        few=states["complete"] < (FEW if dimensions else 1),
        still_falling=_still_falling(best) if best else None,
    )


def _searched(
    method: str, name: str, dimension: Dimension, finished: Sequence[Record], best: Record | None
) -> SearchedDimension:
    parameter = f"{method}.{name}"
    tried = len({record.params[parameter] for record in finished if parameter in record.params})
    value = best.params.get(parameter) if best else None
    found = None
    if value is not None and tried > 1 and _goes_on(method, name, value):
        found = edge(dimension, value)
    return SearchedDimension(name, dimension, tried, value, found)


def edge(dimension: Dimension, value: Scalar) -> Literal["low", "high"] | None:
    """The end of a range, or of three or more numbers to choose from, at which `value` lies.

    >>> edge(Range(1e-5, 1e-3, log=True), 9e-4), edge(Range(0, 10), 5), edge(Choice((4, 8, 16)), 4)
    ('high', None, 'low')
    """
    if isinstance(dimension, Choice):
        numbers = [option for option in dimension.options if not isinstance(option, bool | str)]
        if len(numbers) < max(3, len(dimension.options)) or value not in (min(numbers), max(numbers)):
            return None
        return "low" if value == min(numbers) else "high"
    if not isinstance(dimension, Range) or isinstance(value, bool | str) or dimension.low == dimension.high:
        return None
    low, high, at = (math.log(x) if dimension.log else float(x) for x in (dimension.low, dimension.high, value))
    place = (at - low) / (high - low)
    return "low" if place <= EDGE else "high" if place >= 1 - EDGE else None


def _goes_on(method: str, name: str, value: Scalar) -> bool:
    """Whether values on both sides of `value` are valid: else a study file cannot make its range any wider."""
    known = valid_values(METHODS[method]).get(name) if method in METHODS else None
    return not isinstance(known, Range) or isinstance(value, bool | str) or known.low < value < known.high


def _still_falling(record: Record) -> float | None:
    """The share by which the validation loss fell in the last epoch, if it fell to its least value and markedly.

    The loss is asked, not the metric: that of a model that has hardly learned yet jumps from epoch to epoch, so that
    its best epoch need not be the last.
    """
    losses = [report.validation_loss for report in record.curve]
    if len(losses) < 2 or losses[-1] > min(losses) or losses[-2] <= 0:
        return None
    fallen = 1 - losses[-1] / losses[-2]
    return fallen if fallen >= STILL_FALLING else None
