"""The trials of a study, and their epochs, as marks of a picture: where each stands, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from peftsearch.core.objectives import find_objective, is_metric, is_quality, quality_objective
from peftsearch.core.points import Point
from peftsearch.results.formatting import config_in_words, objective_in_words, objective_label, reason_in_words

if TYPE_CHECKING:
    from peftsearch.results.front import Row
    from peftsearch.storage.records import Record

Kind = Literal["on the front", "dominated", "stopped early"]
"""What a trial is; one that breaks a constraint, or that the tolerance leaves off, is drawn as dominated."""


@dataclass(frozen=True)
class Mark:
    """One trial, or one as it was after an epoch.

    Attributes:
        point: what names it.
        quality: its validation score.
        costs: objective → value, for each cost that is known.
        words: lines that say more about it.
    """

    point: Point
    method: str
    kind: Kind
    quality: float
    costs: Mapping[str, float]
    words: tuple[str, ...]


def costs(objectives: Sequence[str]) -> list[str]:
    """The objectives that are no quality; parameters and time if the study has no other."""
    quality = quality_objective(objectives)
    others = [name for name in objectives if name != quality and not is_quality(name)]
    return others or ["trainable_parameters", "train_seconds"]


def axis_label(name: str) -> str:
    """What an axis of the pictures is called: the objective with its unit."""
    words, unit = objective_label(name), find_objective(name).unit
    if is_metric(name):
        return f"validation {words}"
    return f"{words} {unit}" if unit == "parameters" else f"{words} ({unit})"


def finished_mark(row: Row, objectives: Sequence[str]) -> Mark:
    """A trial that has finished, or an epoch of one."""
    reached = [f"{objective_label(name)}: {objective_in_words(name, _value(row, name))}" for name in objectives]
    return Mark(
        row.point,
        row.config.method,
        "on the front" if row.on_front else "dominated",
        _value(row, quality_objective(objectives)),
        {name: _value(row, name) for name in costs(objectives)},
        (config_in_words(row.config), *reached),
    )


def stopped_mark(record: Record, objectives: Sequence[str]) -> Mark | None:
    """A trial that was pruned, at its best epoch until then; None if it has no quality or no cost that is known."""
    quality = quality_objective(objectives)
    scores = [report.metrics[quality] for report in record.curve if quality in report.metrics]
    if record.state != "pruned" or record.config is None or not scores:
        return None
    best = max(scores) if find_objective(quality).direction == "maximize" else min(scores)
    spent = {
        "trainable_parameters": float(max(report.trainable_parameters for report in record.curve)),
        "train_seconds": sum(report.train_seconds for report in record.curve),
    }
    epochs = f"{len(scores)} epoch{'' if len(scores) == 1 else 's'}"
    words = (
        config_in_words(record.config),
        f"{objective_label(quality)} after {epochs}: {objective_in_words(quality, best)}",
        f"stopped early: {reason_in_words(record)}",
    )
    known = {name: spent[name] for name in costs(objectives) if name in spent}
    return Mark(record.point, record.config.method, "stopped early", best, known, words) if known else None


def _value(row: Row, name: str) -> float:
    """An objective of a row, whether its study has that or not."""
    return row.objectives[name] if name in row.objectives else find_objective(name).read(row.measurement)
