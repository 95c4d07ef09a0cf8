"""Trials as JSON data, for `--json`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.points import Point
from peftsearch.results.feasibility import check_json
from peftsearch.results.formatting import searchable_settings

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

OWN = "own_train_seconds"
"""The training seconds as the trial's own device measured them."""


def trial_json(record: Record) -> dict[str, Any]:
    """A trial, or a trial as it was after its `epoch`, for `front --json`. What it has not reached is null or empty."""
    config, measurement = record.config, record.measurement
    return {
        "trial": record.number,
        "epoch": record.epoch,
        "method": config.method if config else None,
        "backbone": config.backbone if config else None,
        "params": searchable_settings(config) if config else {},
        "objectives": dict(record.values),
        "measurement": {**measurement.to_dict(), OWN: measurement.own_train_seconds} if measurement else None,
        "state": record.state,
        "constraints": [check_json(check) for check in record.checks],
    }


def trial_with_curve_json(record: Record, front: Iterable[Point] = ()) -> dict[str, Any]:
    """A trial for `trials --json`; `front` are the points on the front."""
    return {
        **trial_json(record),
        "curve": [report.to_dict() for report in record.curve],
        "reason": record.reason,
        "failure": record.failure,
        "on_front": [point.as_json for point in front if point.trial == record.number],
    }


def full_trial_json(record: Record, weights: Path | None, front: Iterable[Point] = ()) -> dict[str, Any]:
    """A trial for `trial --json`, with its classes; these are null where no class was counted.

    Args:
        record: the trial.
        weights: the folder of its kept weights, if there is one.
        front: the points on the front.
    """
    report = record.measurement.classes if record.measurement else None
    return {
        **trial_with_curve_json(record, front),
        "classes": [vars(score) for score in report.scores()] if report else None,
        "confusion_matrix": report.matrix() if report else None,
        "weights": str(weights) if weights else None,
    }
