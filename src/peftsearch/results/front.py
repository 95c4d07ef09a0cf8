"""Finished trials as rows: which are on the Pareto front, and what each costs compared with full fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.front.pareto import front_of
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Tolerance
from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.results.formatting import tolerance_in_words

if TYPE_CHECKING:
    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record


@dataclass(frozen=True)
class Row:
    """One finished trial.

    Attributes:
        record: the trial as it stands in the storage.
        config: the record's configuration.
        measurement: the record's measurement.
        objectives: the value of each of the study's objectives by name, in the study's order.
        parameters_share: trainable parameters over those of the best full fine-tuning of the same backbone, 0..1; over
            all parameters of the largest model of that backbone if no full fine-tuning has finished.
        time_share: training seconds over those of the same full fine-tuning; None without one.
        on_front: whether the trial breaks no constraint and, of those that break none, is on the front
            (`core.front.pareto.front_of`).
        undominated: the same with no tolerance: no other one is at least as good in every objective and better in one.
            The weights of such trials are kept.
    """

    record: Record
    config: TrialConfig
    measurement: Measurement
    objectives: dict[str, float]
    parameters_share: float
    time_share: float | None
    on_front: bool
    undominated: bool


def rows(records: Sequence[Record], objectives: Sequence[str], tolerance: Tolerance = AS_MEASURED) -> list[Row]:
    """Every finished trial, best quality first; quality is the first maximised objective.

    Args:
        records: the trials in any state.
        objectives: the study's, by name.
        tolerance: the study's.
    """
    done = [record for record in records if record.state == "complete" and record.measurement and record.config]
    values = [[record.values[name] for name in objectives] for record in done]
    on_front, undominated = (_on_front(done, values, objectives, each) for each in (tolerance, EXACT))
    quality = quality_objective(objectives)
    by_backbone: dict[str, list[Record]] = {}
    for record in done:
        by_backbone.setdefault(_config(record).backbone, []).append(record)
    whole = {name: _Whole.of(trials, quality) for name, trials in by_backbone.items()}
    found = [
        _row(record, dict(zip(objectives, numbers, strict=True)), places, whole[_config(record).backbone])
        for record, numbers, *places in zip(done, values, on_front, undominated, strict=True)
    ]
    sign = -1 if find_objective(quality).direction == "maximize" else 1
    return sorted(found, key=lambda row: (sign * row.objectives[quality], row.record.number))


def front(records: Sequence[Record], objectives: Sequence[str], tolerance: Tolerance = AS_MEASURED) -> list[Row]:
    """The finished trials on the Pareto front, best quality first."""
    return [row for row in rows(records, objectives, tolerance) if row.on_front]


def left_off(rows: Sequence[Row]) -> int:
    """How many trials the tolerance leaves off the front."""
    return sum(row.undominated and not row.on_front for row in rows)


def front_in_words(rows: Sequence[Row], objectives: Sequence[str], tolerance: Tolerance) -> list[str]:
    """One line on the values that count as equal, and on how many trials are therefore not on the front.

    Args:
        rows: every finished trial.
    """
    lines, count = tolerance_in_words(objectives, tolerance), left_off(rows)
    if not lines or not count:
        return lines
    trials = "1 trial is" if count == 1 else f"{count} trials are"
    return [f"{lines[0]}; {trials} left off the front, since another one is as good within the tolerance"]


def best_of_methods(found: Sequence[Row]) -> list[Row]:
    """The best row of each method, among those that break no constraint if there are any.

    `found` must have the best quality first, as `rows` returns it.
    """
    best: dict[str, Row] = {}
    for row in sorted(found, key=lambda row: not row.record.feasible):
        best.setdefault(row.config.method, row)
    return [row for row in found if best[row.config.method] is row]


def _on_front(
    done: Sequence[Record], values: Sequence[Sequence[float]], objectives: Sequence[str], tolerance: Tolerance
) -> list[bool]:
    """Whether each of the finished trials `done` is on the front; one that breaks a constraint never is."""
    feasible = np.array([record.feasible for record in done], dtype=bool)
    on_front = np.zeros(len(done), dtype=bool)
    on_front[feasible] = front_of(np.reshape(values, (-1, len(objectives)))[feasible], objectives, tolerance)
    found: list[bool] = on_front.tolist()
    return found


def _row(record: Record, objectives: dict[str, float], places: Sequence[bool], whole: _Whole) -> Row:
    """A finished trial as a row; `places` says whether it is on the front, and on that without a tolerance."""
    measurement = _measurement(record)
    on_front, undominated = places
    return Row(
        record=record,
        config=_config(record),
        measurement=measurement,
        objectives=objectives,
        parameters_share=measurement.trainable_parameters / whole.parameters,
        time_share=measurement.train_seconds / whole.train_seconds if whole.train_seconds else None,
        on_front=on_front,
        undominated=undominated,
    )


@dataclass(frozen=True)
class _Whole:
    """What the trials of a backbone are compared with.

    Attributes:
        parameters: those that the best full fine-tuning trained, or else all of the largest model. A model of TF-IDF,
            which has no encoder, is not the whole of anything.
        train_seconds: of that full fine-tuning; None without one.
    """

    parameters: int
    train_seconds: float | None

    @classmethod
    def of(cls, done: Sequence[Record], quality: str) -> _Whole:
        sign = 1 if find_objective(quality).direction == "maximize" else -1
        full = [record for record in done if _config(record).method == "full"]
        best = max(full, key=lambda record: sign * record.values[quality], default=None)
        if best is None:
            return cls(max(_measurement(record).total_parameters for record in done), None)
        return cls(_measurement(best).trainable_parameters, _measurement(best).train_seconds)


def _config(record: Record) -> TrialConfig:
    assert record.config is not None
    return record.config


def _measurement(record: Record) -> Measurement:
    assert record.measurement is not None
    return record.measurement
