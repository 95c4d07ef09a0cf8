"""What confirming has found, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.statistics import Interval
from peftsearch.confirm.summary import Confirmation
from peftsearch.report.confirmation import sentences
from peftsearch.results.formatting import searchable_settings
from peftsearch.storage.confirmations import SeedRun


def confirmation_json(found: Confirmation) -> dict[str, Any]:
    """Everything that confirming has found, but for the class of each row."""
    best = found.measured[0] if found.measured else None
    return {
        "study": found.study,
        "metric": found.metric,
        "test_rows": found.test_rows,
        "opened": [opening.to_dict() for opening in found.openings],
        "trials": [_row_json(found, row, best) for row in found.rows],
        "reference": _row_json(found, found.reference, best) if found.reference else None,
        "may_be_best": [row.point.as_json for row in found.may_be_best],
        "near_best": [row.point.as_json for row in found.near_best],
        "cheapest": found.cheapest.point.as_json if found.cheapest else None,
        "cheapest_by": list(found.costs),
        "notes": list(sentences(found)),
    }


def _row_json(found: Confirmation, row: Confirmed, best: Confirmed | None) -> dict[str, Any]:
    behind = row.behind(best) if best and row is not best else None
    return {
        "trial": row.point.trial if row is not found.reference else None,
        "epoch": row.point.epoch,
        "method": row.config.method,
        "backbone": row.config.backbone if row is not found.reference else None,
        "params": searchable_settings(row.config),
        "random": row.random,
        "searched": row.measurement.metrics.get(row.metric),
        "test": asdict(row.test_spread) if row.test_spread else None,
        "interval": _interval_json(row.interval),
        "may_be_best": row.may_be_best,
        "validation": asdict(row.validation_spread) if row.validation_spread else None,
        "optimism": found.optimism.get(row.point),
        "overstated": _interval_json(row.overstated),
        "behind_best": _interval_json(behind),
        "trainable_parameters": row.measurement.trainable_parameters,
        "train_seconds": row.train_seconds,
        "runs": [_run_json(run) for run in row.runs],
    }


def _interval_json(found: Interval | None) -> dict[str, Any] | None:
    return {**asdict(found), "told_apart": found.told_apart} if found else None


def _run_json(run: SeedRun) -> dict[str, Any]:
    return {name: value for name, value in run.to_dict().items() if name != "rows"}
