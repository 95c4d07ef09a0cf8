"""Confirmed trials as a frame."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from peftsearch.confirm.open import open_confirmation
from peftsearch.storage.confirmations import write_run
from tests.confirm.test_summary import old_run, stored


def test_one_row_for_each_confirmed_trial_best_first(tmp_path: Path) -> None:
    study = stored(tmp_path)
    found, frame = open_confirmation(study), open_confirmation(study).frame()
    assert list(frame["trial"]) == [row.record.number for row in found.measured] == [0, 1, 2]
    assert list(frame["seeds"]) == [3, 3, 1]
    first = found.rows[0]
    assert first.interval is not None
    assert frame.loc[0, ["test_mean", "test_low", "test_high"]].tolist() == pytest.approx(
        [first.interval.mean, first.interval.low, first.interval.high]
    )
    assert frame.loc[0, ["method", "searched", "may_be_best", "trainable_parameters"]].tolist() == [
        "full",
        0.9,
        True,
        22_000_000,
    ]


def test_it_joins_the_front_by_trial_and_lacks_what_is_not_known(tmp_path: Path) -> None:
    study = stored(tmp_path, {})
    write_run(study.study, old_run(1, 43, 0.8))
    joined = study.front_frame().merge(
        open_confirmation(study).frame()[["trial", "epoch", "test_mean", "test_low"]], how="left"
    )
    means = dict(zip(joined["trial"], joined["test_mean"], strict=True))
    assert means[1] == 0.8
    assert pd.isna(means[0])
    assert joined["test_low"].isna().all()


def test_without_confirmed_points_it_is_empty(tmp_path: Path) -> None:
    assert list(open_confirmation(stored(tmp_path, {})).frame()["test_mean"]) == []
