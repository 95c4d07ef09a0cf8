"""What confirming has found as a pandas frame, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.confirm.summary import Confirmation

COLUMNS = (
    *("trial", "epoch", "method", "backbone", "searched", "test_mean", "test_low", "test_high", "seeds", "may_be_best"),
    *("trainable_parameters", "train_seconds"),
)


def confirmation_frame(found: Confirmation) -> pd.DataFrame:
    """One row for each point with a score on test: see `Confirmation.frame`."""
    import pandas as pd

    frame = pd.DataFrame([_cells(row) for row in found.measured], columns=list(COLUMNS))
    return frame.astype({"epoch": "Int64"})  # whole numbers, though some are missing


def _cells(row: Confirmed) -> dict[str, Any]:
    spread, interval = row.test_spread, row.interval
    return {
        "trial": row.point.trial,
        "epoch": row.point.epoch,
        "method": row.config.method,
        "backbone": row.config.backbone,
        "searched": row.searched,
        "test_mean": spread.mean if spread else None,
        "test_low": interval.low if interval else None,
        "test_high": interval.high if interval else None,
        "seeds": len(row.test),
        "may_be_best": row.may_be_best,
        "trainable_parameters": row.measurement.trainable_parameters,
        "train_seconds": row.train_seconds,
    }
