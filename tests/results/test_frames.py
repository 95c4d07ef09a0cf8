"""Results as pandas frames."""

from __future__ import annotations

import pandas as pd
import pytest

from peftsearch.core.config import SEARCHABLE_TRAINING
from peftsearch.results.frames import front_frame, trials_frame
from peftsearch.results.front import rows
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config, report

FULL = complete(0, "full", 0.90, 100_000, 40.0, learning_rate=2e-5)
LORA = complete(1, "lora", 0.88, 2_000, 20.0, learning_rate=3e-4, rank=8)
PRUNED = Record(2, "pruned", config("probe"), curve=(report(1, 0.3),), reason="trial 0 has 0.9")
FIRST = ["trial", "method", "backbone"]


def test_a_row_for_each_trial_in_any_state() -> None:
    frame = trials_frame([FULL, LORA, PRUNED, Record(3, "waiting")], OBJECTIVES)
    settings = ["learning_rate", *SEARCHABLE_TRAINING, "rank"]
    assert list(frame.columns[:7]) == [*FIRST, "state", *OBJECTIVES]
    assert set(frame.columns[7:-3]) == set(settings)
    assert list(frame.columns[-3:]) == ["own_train_seconds", "epochs_trained", "reason"]
    assert list(frame["own_train_seconds"])[:2] == [40.0, 20.0]
    assert list(frame["state"]) == ["complete", "complete", "pruned", "waiting"]
    assert list(frame["epochs_trained"]) == [3, 3, 1, 0]
    assert frame.loc[2, "reason"] == "trial 0 has 0.9"
    assert list(frame["macro_f1"].isna()) == [False, False, True, True]
    assert list(frame["rank"].isna()) == [True, False, True, True]


def test_the_front_with_its_shares() -> None:
    frame = front_frame([row for row in rows([LORA, FULL], OBJECTIVES) if row.on_front], OBJECTIVES)
    assert list(frame["trial"]) == [0, 1]
    assert list(frame.columns[:7]) == ["trial", "epoch", *FIRST[1:], *OBJECTIVES]
    assert list(frame["parameters_share"]) == [1.0, pytest.approx(0.02)]
    assert list(frame["time_share"]) == [1.0, pytest.approx(0.5)]
    assert pd.api.types.is_float_dtype(frame["macro_f1"])


def test_a_method_without_steps_has_no_settings_of_the_training_section() -> None:
    frame = trials_frame([FULL, complete(1, "tfidf", 0.7, 9, 1.0, longest_term=2)], OBJECTIVES)
    assert frame.loc[1, [*SEARCHABLE_TRAINING, "learning_rate"]].isna().all()
    assert frame.loc[0, list(SEARCHABLE_TRAINING)].notna().all()
    assert frame.loc[1, "longest_term"] == 2


def test_no_trials_have_the_same_columns() -> None:
    frame = trials_frame([], OBJECTIVES)
    assert list(frame.columns) == [*FIRST, "state", *OBJECTIVES, "own_train_seconds", "epochs_trained", "reason"]
    assert frame.empty
