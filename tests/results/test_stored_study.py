"""A study's results from its storage, and what is said when there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import ClassReport
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.connection.where import storage_url
from tests.helpers.records import OBJECTIVES, complete, measurement, store

NONE = "study 'toy' has no trials yet; start it with: peftsearch optimize --study toy --trials 20"


def test_what_was_stored_comes_back(tmp_path: Path) -> None:
    reference = {"metrics": {"macro_f1": 0.5}, "seconds": 0.4, "fingerprint": "abc"}
    url = store(tmp_path, [complete(0, "lora", 0.9, 1000, 2.0)], reference=reference, about={"budget": 4})
    stored = open_stored("toy", url)
    assert stored.objectives == OBJECTIVES
    assert stored.quality == "macro_f1"
    assert [row.objectives for row in stored.front()] == [
        {"macro_f1": 0.9, "trainable_parameters": 1000.0, "train_seconds": 2.0}
    ]
    assert stored.status().budget == 4
    assert stored.reference is not None
    assert stored.reference.sentence("macro_f1") == (
        "for reference: TF-IDF + logistic regression reaches macro F1 0.500 in 0.4 s"
    )


def test_nothing_is_made_when_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    with pytest.raises(UserError) as caught:
        open_stored("toy")
    assert str(caught.value) == NONE.replace(
        "yet",
        f"yet in {tmp_path}/runs (if it was searched from another folder, go there or set "
        "PEFTSEARCH_RUNS=THAT_FOLDER/runs)",
    )
    monkeypatch.setenv("PEFTSEARCH_RUNS", "~/of/all")
    with pytest.raises(UserError, match=f"no trials yet in {Path.home()}/of/all "):
        open_stored("toy")
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_trial(tmp_path: Path) -> None:
    stored = open_stored("toy", store(tmp_path, [complete(0, "lora", 0.9, 1000, 2.0)]))
    with pytest.raises(UserError, match=r"^'bets' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'$"):
        stored.trial("bets")
    assert stored.trial("0") == stored.trial("best")


def test_a_storage_without_this_study(tmp_path: Path) -> None:
    url = store(tmp_path, [], name="another")
    with pytest.raises(UserError) as caught:
        open_stored("toy", url)
    assert str(caught.value) == NONE


def test_where_trials_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    assert storage_url("toy") == "sqlite:///runs/toy.db"
    monkeypatch.setenv("PEFTSEARCH_STORAGE", "sqlite:///elsewhere.db")
    assert storage_url("toy") == "sqlite:///elsewhere.db"
    assert storage_url("toy", "sqlite:///given.db") == "sqlite:///given.db"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    assert "toy.db" not in repr(open_stored("toy", store(tmp_path, [])))


def test_a_number_that_is_not_there_is_told_with_those_that_are(tmp_path: Path) -> None:
    stored = open_stored("toy", store(tmp_path, [complete(0, "full", 0.9, 10, 1.0), complete(1, "lora", 0.8, 5, 1.0)]))
    assert stored.trial(1).number == 1
    with pytest.raises(UserError) as error:
        stored.trial(7)
    assert str(error.value) == "study 'toy' has no trial 7; its trials are 0 to 1"


def test_a_class_report_survives_the_storage(tmp_path: Path) -> None:
    report = ClassReport(("cat", "dog"), ((0, 0, 30), (0, 1, 2), (1, 1, 20)))
    record = replace(complete(0, "lora", 0.8, 300_000, 12.0), measurement=measurement(classes=report))
    stored = open_stored("toy", store(tmp_path, [record]))
    kept = stored.trial(0).measurement
    assert kept is not None
    assert kept.classes == report


def test_weights_are_where_they_were_kept(tmp_path: Path) -> None:
    stored = replace(
        open_stored("toy", store(tmp_path, [complete(0, "lora", 0.9, 1000, 2.0)])), folder=RunFolder(tmp_path)
    )
    (tmp_path / "weights" / "0").mkdir(parents=True)
    assert stored.weights(0) is None
    (tmp_path / "weights" / "0" / "trainable.safetensors").touch()
    assert stored.weights(0) == tmp_path / "weights" / "0"


NEARLY = [
    complete(0, "lora", 0.90, 1000, 10.5),
    complete(1, "lora", 0.88, 1000, 10.0),
    complete(2, "lora", 0.85, 1000, 7.0),
]
"""The second is faster than the first by noise alone."""


@pytest.mark.parametrize(
    ("stored", "asked", "front"),
    [
        ({}, None, [0, 2]),  # a storage of an earlier version has no tolerance
        ({}, "none", [0, 1, 2]),
        ({}, {"train_seconds": 0}, [0, 1, 2]),
        ({}, {"train_seconds": "60%"}, [0]),
        ({}, {"macro_f1": 0.1}, [2]),
        ({"train_seconds": "0"}, None, [0, 1, 2]),
        ({"train_seconds": "0"}, {"train_seconds": "10%"}, [0, 2]),
        ({"macro_f1": "0.025", "train_seconds": "0"}, None, [1, 2]),
        ({"macro_f1": "0.025", "train_seconds": "0"}, "none", [0, 1, 2]),
    ],
)
def test_the_front_is_chosen_with_the_tolerance_asked_for_or_else_with_the_study_s(
    tmp_path: Path, stored: dict[str, str], asked: dict[str, float | str] | str | None, front: list[int]
) -> None:
    found = open_stored("toy", store(tmp_path, NEARLY, tolerance=stored)).with_tolerance(asked)
    assert [row.record.number for row in found.front()] == front
    assert all(row.undominated for row in found.rows())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"macro_f1": 5}, "--tolerance macro_f1: must be at least 0 and below 1, but got 5"),
        ({"macro": 0.1}, "--tolerance macro: no objective 'macro'; did you mean 'macro_f1'?"),
        (
            "10%",
            "--tolerance must be none or a mapping like {macro_f1: 0.005, train_seconds: 10%}, but got '10%'",
        ),
    ],
)
def test_a_tolerance_that_cannot_be_meant(tmp_path: Path, asked: dict[str, float | str] | str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        open_stored("toy", store(tmp_path, NEARLY)).with_tolerance(asked)
    assert str(caught.value) == message
