"""Finished trials as rows: which are on the Pareto front, and what each costs compared with full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.core.pareto import front_of
from peftsearch.core.tolerance import AS_MEASURED, EXACT, Tolerance
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
            all of the model's parameters if no full fine-tuning has finished.
        time_share: training seconds over those of the same full fine-tuning; None without one.
        on_front: whether the trial breaks no constraint and, of those that break none, is on the front
            (`core.pareto.front_of`).
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
    full = {name: _full_fine_tuning(name, done, quality) for name in {r.config.backbone for r in done if r.config}}
    found = [
        _row(record, dict(zip(objectives, numbers, strict=True)), places, full)
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


def _row(
    record: Record, objectives: dict[str, float], places: Sequence[bool], fine_tuned: Mapping[str, Measurement | None]
) -> Row:
    """A finished trial as a row; `places` says whether it is on the front, and on that without a tolerance."""
    config, measurement = record.config, record.measurement
    assert config is not None
    assert measurement is not None
    full = fine_tuned[config.backbone]
    on_front, undominated = places
    whole = full.trainable_parameters if full else measurement.total_parameters
    return Row(
        record=record,
        config=config,
        measurement=measurement,
        objectives=objectives,
        parameters_share=measurement.trainable_parameters / whole,
        time_share=measurement.train_seconds / full.train_seconds if full and full.train_seconds > 0 else None,
        on_front=on_front,
        undominated=undominated,
    )


def _full_fine_tuning(backbone: str, done: Sequence[Record], quality: str) -> Measurement | None:
    """The measurement of the backbone's best full fine-tuning."""
    full = [
        record
        for record in done
        if record.config and (record.config.method, record.config.backbone) == ("full", backbone)
    ]
    sign = 1 if find_objective(quality).direction == "maximize" else -1
    best = max(full, key=lambda record: sign * record.values[quality], default=None)
    return best.measurement if best else None
