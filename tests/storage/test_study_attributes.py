from __future__ import annotations

import optuna
import pytest

from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.study_attributes import (
    About,
    read_about,
    read_every_epoch,
    read_reference,
    read_space,
    write_about,
    write_every_epoch,
    write_reference,
    write_space,
)

ABOUT = About("find the best", {"source": "rows.csv"}, 20)


@pytest.fixture
def study() -> optuna.study.Study:
    return optuna.create_study(study_name="x")


def test_what_is_written_is_read_back(study: optuna.study.Study) -> None:
    write_about(study, ABOUT)
    write_reference(study, {"seconds": 0.5})
    write_space(study, "{}")
    assert (read_about(study), read_reference(study), read_space(storage_of(study), "x")) == (
        ABOUT,
        {"seconds": 0.5},
        "{}",
    )


def test_what_was_not_written_is_unknown(study: optuna.study.Study) -> None:
    assert (read_about(study), read_about(study).to_dict(), read_reference(study)) == (About(), {}, None)
    assert [read_space(storage_of(study), name) for name in ("x", "no such study")] == [None, None]


def test_what_is_known_already_is_not_written_again(study: optuna.study.Study, monkeypatch: pytest.MonkeyPatch) -> None:
    write_about(study, ABOUT)
    monkeypatch.setattr(study, "set_user_attr", lambda *_: pytest.fail("written again"))
    write_about(study, About("find the best", {"source": "rows.csv"}, 20))


def test_the_names_are_those_of_earlier_versions(study: optuna.study.Study) -> None:
    """A storage that an earlier version has begun goes on with this one."""
    study.set_user_attr("about", {"goal": "find the best", "data": {"source": "rows.csv"}, "budget": 20})
    study.set_user_attr("reference", {"seconds": 0.5})
    study.set_user_attr("space", "{}")
    assert (read_about(study), read_reference(study), read_space(storage_of(study), "x")) == (
        ABOUT,
        {"seconds": 0.5},
        "{}",
    )


def test_every_epoch_counts_unless_the_study_says_otherwise(study: optuna.study.Study) -> None:
    assert read_every_epoch(study)
    write_every_epoch(study, counts=True)
    assert study.user_attrs == {}
    write_every_epoch(study, counts=False)
    assert not read_every_epoch(study)
    write_every_epoch(study, counts=True)
    assert read_every_epoch(study)
