"""Points as rows, whole trials and epochs: which are on the front, and what each costs beside full fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.front.pareto import front_of
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Tolerance
from peftsearch.core.measurement import Measurement
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.core.points import Point
from peftsearch.results.formatting import tolerance_in_words
from peftsearch.storage.kept.front_checkpoints import kept_points
from peftsearch.storage.points import points_of

if TYPE_CHECKING:
    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record


@dataclass(frozen=True)
class Row:
    """One point: a finished trial, or a trial as it was after one of its epochs.

    Attributes:
        record: the point as it stands in the storage.
        config: the record's configuration.
        measurement: the record's measurement.
        objectives: the value of each of the study's objectives by name, in the study's order.
        parameters_share: trainable parameters over those of the best full fine-tuning of the same backbone, 0..1; over
            all parameters of the largest model of that backbone if no full fine-tuning has finished.
        time_share: training seconds over those of the same full fine-tuning; None without one.
        on_front: whether the point breaks no constraint and, of those that break none, is on the front
            (`core.front.pareto.front_of`).
        undominated: the same with no tolerance: no other one is at least as good in every objective and better in one.
        kept: whether its weights are kept (`storage.kept.front_checkpoints.kept_points`).
    """

    record: Record
    config: TrialConfig
    measurement: Measurement
    objectives: dict[str, float]
    parameters_share: float
    time_share: float | None
    on_front: bool
    undominated: bool
    kept: bool

    @property
    def point(self) -> Point:
        """What names it."""
        return self.record.point


def points(
    records: Sequence[Record],
    objectives: Sequence[str],
    tolerance: Tolerance = AS_MEASURED,
    *,
    every_epoch: bool = False,
) -> list[Row]:
    """Every point that can be on the front, best quality first; quality is the first maximised objective.

    Of equal quality, those on the front come first, and whole trials before epochs.

    Args:
        records: the trials in any state.
        objectives: the study's, by name.
        tolerance: the study's.
        every_epoch: whether each epoch of a trial is a point, beside the whole trials that have finished.
    """
    found = points_of(records, objectives, every_epoch=every_epoch)
    done = [record for record in found if record.measurement and record.config]
    values = [[record.values[name] for name in objectives] for record in done]
    on_front, undominated = (_on_front(done, values, objectives, each) for each in (tolerance, EXACT))
    quality = quality_objective(objectives)
    by_backbone: dict[str, list[Record]] = {}
    for record in sorted(done, key=lambda record: record.epoch is not None):  # stable: the whole trials first
        by_backbone.setdefault(_config(record).backbone, []).append(record)
    whole = {name: _Whole.of(trials, quality) for name, trials in by_backbone.items()}
    stay = kept_points([record for record in done if record.feasible], objectives)
    kept = [record.point in stay for record in done]
    made = [
        _row(record, dict(zip(objectives, numbers, strict=True)), places, whole[_config(record).backbone])
        for record, numbers, *places in zip(done, values, on_front, undominated, kept, strict=True)
    ]
    sign = -1 if find_objective(quality).direction == "maximize" else 1
    return sorted(made, key=lambda row: (sign * row.objectives[quality], not row.on_front, *_whole_first(row.point)))


def rows(
    records: Sequence[Record],
    objectives: Sequence[str],
    tolerance: Tolerance = AS_MEASURED,
    *,
    every_epoch: bool = False,
) -> list[Row]:
    """Every finished trial as a whole, as `points` gives it: an epoch can keep it off the front."""
    return whole_trials(points(records, objectives, tolerance, every_epoch=every_epoch))


def front(
    records: Sequence[Record],
    objectives: Sequence[str],
    tolerance: Tolerance = AS_MEASURED,
    *,
    every_epoch: bool = False,
) -> list[Row]:
    """The points on the Pareto front, best quality first."""
    return [row for row in points(records, objectives, tolerance, every_epoch=every_epoch) if row.on_front]


def shown(points: Sequence[Row]) -> list[Row]:
    """What a view shows that cannot show everything: the finished trials, and the epochs on the front."""
    return [row for row in points if row.point.epoch is None or row.on_front]


def whole_trials(rows: Sequence[Row]) -> list[Row]:
    """Those of the points that are whole trials."""
    return [row for row in rows if row.point.epoch is None]


def _whole_first(point: Point) -> tuple[bool, int, int]:
    """By this, points are sorted that are equal otherwise: whole trials first, then by number and epoch."""
    return point.epoch is not None, point.trial, point.epoch or 0


def best_of_trials(found: Sequence[Row]) -> list[Row]:
    """The best of each trial's points, of which `found` must have the best first."""
    best: dict[int, Row] = {}
    for row in found:
        best.setdefault(row.point.trial, row)
    return list(best.values())


def front_counted(points: Sequence[Row]) -> str:
    """How many trials are on the front, and with how many points where these are more.

    `3 of 9 finished trials are on the Pareto front`, `14 of 40 trials are on the Pareto front, with 33 points`

    Args:
        points: every point.
    """
    front = [row for row in points if row.on_front]
    if len(whole_trials(front)) == len(front):
        return on_front_in_words(front, f"{len(whole_trials(points))} finished trials")
    return on_front_in_words(front, f"{len(best_of_trials(points))} trials")


def on_front_in_words(front: Sequence[Row], of: str) -> str:
    """The same, where `of` says of how many trials: `9 finished trials`."""
    count = len(best_of_trials(front))
    more = f", with {len(front)} points" if len(front) > count else ""
    return f"{count} of {of} {'is' if count == 1 else 'are'} on the Pareto front{more}"


def left_off(rows: Sequence[Row]) -> int:
    """How many of all points the tolerance leaves off the front."""
    return sum(row.undominated and not row.on_front for row in rows)


def front_in_words(rows: Sequence[Row], objectives: Sequence[str], tolerance: Tolerance) -> list[str]:
    """One line on the values that count as equal, and on how many points are therefore not on the front.

    Args:
        rows: every point.
    """
    lines, count = tolerance_in_words(objectives, tolerance), left_off(rows)
    if not lines or not count:
        return lines
    noun = "trial" if len(whole_trials(rows)) == len(rows) else "point"
    those = f"1 {noun} is" if count == 1 else f"{count} {noun}s are"
    return [f"{lines[0]}; {those} left off the front, since another one is as good within the tolerance"]


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
    """Whether each of the points `done` is on the front; one that breaks a constraint never is."""
    feasible = np.array([record.feasible for record in done], dtype=bool)
    on_front = np.zeros(len(done), dtype=bool)
    named = [record.point for record in done if record.feasible]
    on_front[feasible] = front_of(np.reshape(values, (-1, len(objectives)))[feasible], objectives, tolerance, named)
    found: list[bool] = on_front.tolist()
    return found


def _row(record: Record, objectives: dict[str, float], places: Sequence[bool], whole: _Whole) -> Row:
    """A point as a row; `places` says whether it is on the front, undominated and kept."""
    measurement = _measurement(record)
    on_front, undominated, kept = places
    return Row(
        record=record,
        config=_config(record),
        measurement=measurement,
        objectives=objectives,
        parameters_share=measurement.trainable_parameters / whole.parameters,
        time_share=measurement.train_seconds / whole.train_seconds if whole.train_seconds else None,
        on_front=on_front,
        undominated=undominated,
        kept=kept,
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
