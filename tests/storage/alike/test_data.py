"""Data that are not those of the search."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from socket import gethostname

import optuna
import pytest
from datasets import Dataset
from optuna.study import Study

from peftsearch.core.errors import UserError
from peftsearch.storage.alike.data import check_search_data, check_trial_data, read_account
from peftsearch.storage.database import open_storage, open_study
from tests.helpers.records import OBJECTIVES, complete, measurement, store
from tests.helpers.toy import toy_data

DATA = toy_data(train=48, validation=24)
TEXTS = DATA.splits["train"]["text"][:]
OTHER = replace(
    DATA,
    fingerprint="other",
    splits={
        **DATA.splits,
        "train": Dataset.from_dict({**DATA.splits["train"].to_dict(), "text": [*TEXTS[:-1], "new"]}),
    },
)


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "toy", OBJECTIVES)


def test_the_first_machine_s_rows_are_noted_and_others_are_refused(study: Study) -> None:
    for _ in range(2):
        check_search_data(study, DATA)
    with pytest.raises(UserError) as refused:
        check_search_data(study, OTHER)
    assert str(refused.value) == (
        f"the data of 'toy' on {gethostname()} is not what the search was begun with (the first other row of train is "
        "row 48); restore the data, or search again with --fork NEW_NAME"
    )
    check_search_data(study, DATA)


def test_a_trial_s_data_are_told_from_others_by_the_account_where_it_is_theirs(study: Study) -> None:
    check_search_data(study, DATA)
    check_trial_data(study, 3, DATA.fingerprint, DATA)
    with pytest.raises(UserError, match=re.escape("trial 3 was trained on (the first other row of train is row 48);")):
        check_trial_data(study, 3, DATA.fingerprint, OTHER)
    with pytest.raises(UserError, match=re.escape("(fingerprint older then, other now);")):
        check_trial_data(study, 3, "older", OTHER)


def test_a_study_of_an_earlier_version_has_the_rows_of_its_trials(tmp_path: Path) -> None:
    measured = measurement(data_fingerprint=DATA.fingerprint)
    url = store(tmp_path, [replace(complete(0, "full", 0.8, 10, 1.0), measurement=measured)])
    study = open_study(open_storage(url), "toy", OBJECTIVES)
    with pytest.raises(UserError, match=re.escape("not what trial 0 was trained on (fingerprint toy-48-24-0 then")):
        check_search_data(study, OTHER)
    assert read_account(study) is None
    check_search_data(study, DATA)
    with pytest.raises(UserError, match="the search was begun with"):
        check_search_data(study, OTHER)
