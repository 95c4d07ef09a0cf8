"""Results as pandas frames, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.results.formatting import reason_in_words, searchable_settings

if TYPE_CHECKING:
    import pandas as pd

    from peftsearch.results.front import Row
    from peftsearch.storage.records import Record


def trials_frame(records: Sequence[Record], objectives: Sequence[str]) -> pd.DataFrame:
    """One row for each trial: see `StoredStudy.trials_frame`."""
    cells = [
        {
            **_what_it_is(record),
            "state": record.state,
            **_numbers(record, objectives),
            "own_train_seconds": record.measurement.own_train_seconds if record.measurement else None,
            "epochs_trained": len(record.curve),
            "reason": reason_in_words(record) or None,
        }
        for record in records
    ]
    first, last = ("trial", "method", "backbone", "state"), ("own_train_seconds", "epochs_trained", "reason")
    return _frame(cells, (*first, *objectives), last)


def front_frame(rows: Sequence[Row], objectives: Sequence[str]) -> pd.DataFrame:
    """One row for each point of the front: see `StoredStudy.front_frame`."""
    cells = [
        {
            **_what_it_is(row.record),
            "epoch": row.point.epoch,
            **_numbers(row.record, objectives),
            "own_train_seconds": row.measurement.own_train_seconds,
            "epochs_trained": row.measurement.epochs,
            "parameters_share": row.parameters_share,
            "time_share": row.time_share,
        }
        for row in rows
    ]
    first = ("trial", "epoch", "method", "backbone")
    last = ("own_train_seconds", "epochs_trained", "parameters_share", "time_share")
    found = _frame(cells, (*first, *objectives), last)
    return found.astype({"epoch": "Int64"})  # whole numbers, though some are missing


def _what_it_is(record: Record) -> dict[str, Any]:
    config = record.config
    return {
        "trial": record.number,
        "method": config.method if config else None,
        "backbone": config.backbone if config else None,
    }


def _numbers(record: Record, objectives: Iterable[str]) -> dict[str, Any]:
    values = {name: record.values.get(name) for name in objectives}
    return values | (searchable_settings(record.config) if record.config else {})


def _frame(cells: Sequence[Mapping[str, Any]], first: Sequence[str], last: Sequence[str]) -> pd.DataFrame:
    """A frame with the settings, of which each method has its own, between the `first` and the `last` columns."""
    import pandas as pd

    settings = dict.fromkeys(name for row in cells for name in row if name not in (*first, *last))
    return pd.DataFrame(cells, columns=[*first, *settings, *last])
