"""Finished trials as rows: which are on the Pareto front, and what each costs compared with full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.core.pareto import losses_of, non_dominated

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
        on_front: whether the trial breaks no constraint, and no other finished trial that breaks none is at least as
            good in every objective and better in one.
    """

    record: Record
    config: TrialConfig
    measurement: Measurement
    objectives: dict[str, float]
    parameters_share: float
    time_share: float | None
    on_front: bool


def rows(records: Sequence[Record], objectives: Sequence[str]) -> list[Row]:
    """Every finished trial, best quality first; quality is the first maximised objective."""
    done = [record for record in records if record.state == "complete" and record.measurement and record.config]
    values = [[record.values[name] for name in objectives] for record in done]
    feasible = np.array([record.feasible for record in done], dtype=bool)
    on_front = np.zeros(len(done), dtype=bool)
    on_front[feasible] = non_dominated(losses_of(values, objectives)[feasible])
    quality = quality_objective(objectives)
    full = {name: _full_fine_tuning(name, done, quality) for name in {r.config.backbone for r in done if r.config}}
    found = [
        _row(record, dict(zip(objectives, numbers, strict=True)), bool(is_best), full)
        for record, numbers, is_best in zip(done, values, on_front, strict=True)
    ]
    sign = -1 if find_objective(quality).direction == "maximize" else 1
    return sorted(found, key=lambda row: (sign * row.objectives[quality], row.record.number))


def front(records: Sequence[Record], objectives: Sequence[str]) -> list[Row]:
    """The finished trials on the Pareto front, best quality first."""
    return [row for row in rows(records, objectives) if row.on_front]


def best_of_methods(found: Sequence[Row]) -> list[Row]:
    """The best row of each method, among those that break no constraint if there are any.

    `found` must have the best quality first, as `rows` returns it.
    """
    best: dict[str, Row] = {}
    for row in sorted(found, key=lambda row: not row.record.feasible):
        best.setdefault(row.config.method, row)
    return [row for row in found if best[row.config.method] is row]


def _row(
    record: Record, objectives: dict[str, float], on_front: bool, fine_tuned: Mapping[str, Measurement | None]
) -> Row:
    config, measurement = record.config, record.measurement
    assert config is not None
    assert measurement is not None
    full = fine_tuned[config.backbone]
    whole = full.trainable_parameters if full else measurement.total_parameters
    return Row(
        record=record,
        config=config,
        measurement=measurement,
        objectives=objectives,
        parameters_share=measurement.trainable_parameters / whole,
        time_share=measurement.train_seconds / full.train_seconds if full and full.train_seconds > 0 else None,
        on_front=on_front,
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
