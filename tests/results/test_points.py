"""Every epoch of a trial as a point of the front: what a study tells of it, and what it is called."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.points import Point
from peftsearch.results.front import Row, best_of_methods, best_of_trials, front_counted, front_in_words, left_off
from peftsearch.results.naming import epochs_instead, point_named, record_at
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record
from tests.helpers.records import EPOCHS, complete, measurement, report, store, trained


@pytest.fixture
def study(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, [*EPOCHS, Record(3, "running")], every_epoch=True))


def names(rows: Sequence[Row]) -> list[str]:
    return [str(row.point) for row in rows]


def test_the_front_is_that_of_whole_trials_and_of_epochs(study: StoredStudy) -> None:
    assert names(study.front()) == ["0", "0@2", "1@2", "1@1", "2@2", "2@1"]
    assert names(study.rows()) == ["0", "1"], "a list of trials stays one"
    assert [row.on_front for row in study.rows()] == [True, False]
    assert names(best_of_trials(study.front())) == ["0", "1@2", "2@2"]
    assert names(best_of_methods(study.points())) == ["0", "1@2", "2@2"]
    assert front_counted(study.points()) == "3 of 3 trials are on the Pareto front, with 6 points"


def test_whole_trials_alone_for_a_look_or_for_the_study(study: StoredStudy, tmp_path: Path) -> None:
    whole = study.with_every_epoch(False)
    assert names(whole.front()) == names(whole.points()) == ["0", "1"]
    assert front_counted(whole.points()) == "2 of 2 finished trials are on the Pareto front"
    assert names(whole.with_every_epoch(None).front()) == names(study.front()), "None is what the study says"
    (tmp_path / "other").mkdir()
    other = open_stored("toy", store(tmp_path / "other", EPOCHS, every_epoch=False))
    assert names(other.front()) == ["0", "1"]
    assert names(other.with_every_epoch(True).front()) == names(study.front())


def test_a_study_of_an_earlier_version_shows_epochs_where_its_trials_have_ended(tmp_path: Path) -> None:
    """It does not say whether epochs count, and has not kept what its pruned trials had measured."""
    older = [*EPOCHS[:2], replace(EPOCHS[2], so_far=None)]
    url = store(tmp_path, older, every_epoch=True)
    study = open_stored("toy", url)
    assert names(study.front()) == ["0", "0@2", "1@2", "1@1"]
    with pytest.raises(UserError) as caught:
        study.trial("2@1")
    assert str(caught.value) == (
        "trial 2 of study 'toy' has no epoch 1 to choose: what its epochs cost was not kept when it was pruned"
    )


def test_a_whole_trial_is_preferred_to_its_best_epoch_within_the_tolerance(tmp_path: Path) -> None:
    """Its best epoch took 11 of 12 units of time, which count as equal; 8 of 12 do not."""
    early, late = [*[0.1] * 7, 0.8, *[0.7] * 4], [*[0.1] * 10, 0.9, 0.8]
    trials = [trained(0, "lora", late, 100, 1.0), trained(1, "bitfit", early, 9, 1.0)]
    study = open_stored("toy", store(tmp_path, trials, every_epoch=True))
    assert names(study.front())[0] == "0"
    assert "0@11" not in names(study.front())
    assert "1@8" in names(study.front())
    assert "1" not in names(study.front())
    assert left_off(study.points()) >= 1
    exact = study.with_tolerance("none")
    assert "0@11" in names(exact.front())
    assert "0" not in names(exact.front())


def test_what_the_tolerance_leaves_off_is_counted_in_points(study: StoredStudy) -> None:
    wide = study.with_tolerance({"train_seconds": "60%"})
    [line] = front_in_words(wide.points(), wide.objectives, wide.tolerance)
    assert line == (
        "train time within 60 % counts as equal; 2 points are left off the front, since another one is as good within "
        "the tolerance"
    )


def test_a_point_is_found_by_its_name(study: StoredStudy) -> None:
    assert study.trial("1@2").point == study.trial(Point(1, 2)).point == Point(1, 2)
    assert study.trial("1@2").values["macro_f1"] == 0.8
    assert study.trial("2@1").state == "complete", "though the trial was pruned"
    assert study.trial("0@3") == study.trial(0), "the last and best epoch is the whole trial"
    assert study.point("best") == Point(0)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("1@9", "trial 1 of study 'toy' has no epoch 9 to choose: it has run 3 epochs"),
        ("3@1", "trial 3 of study 'toy' has no epoch 1 to choose: it has run none"),
        ("7@1", "study 'toy' has no trial 7; its trials are 0 to 3"),
        ("1@0", "'1@0' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'"),
        ("1@", "'1@' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'"),
        (-1, "'-1' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'"),
    ],
)
def test_a_name_of_nothing(study: StoredStudy, name: str | int, message: str) -> None:
    with pytest.raises(UserError) as caught:
        study.trial(name)
    assert str(caught.value) == message


def test_weights_are_looked_for_under_the_name_of_the_point(study: StoredStudy, tmp_path: Path) -> None:
    kept = replace(study, folder=RunFolder(tmp_path))
    for name in ("1@2", "2@1"):
        (tmp_path / "weights" / name).mkdir(parents=True)
        (tmp_path / "weights" / name / "trainable.safetensors").touch()
    assert kept.weights("1@2") == tmp_path / "weights" / "1@2"
    assert kept.weights("2@2") is None
    assert kept.weights(1) == tmp_path / "weights" / "1@2", "a whole trial has the weights of its best epoch"
    assert kept.weights(0) is None


def test_a_frame_has_the_epoch_beside_the_trial(study: StoredStudy) -> None:
    frame = study.front_frame()
    assert list(frame["trial"]) == [0, 0, 1, 1, 2, 2]
    assert frame["epoch"].dtype == pd.Int64Dtype()
    assert list(frame["epoch"].fillna(0)) == [0, 2, 2, 1, 2, 1]
    assert list(frame["epochs_trained"]) == [3, 2, 2, 1, 2, 1]


def drawn(number: int, draw: random.Random) -> Record:
    """A trial in any state, of a method with or without epochs, that may lack a number."""
    state = draw.choice(["complete", "pruned", "failed", "running", "waiting"])
    curve = () if state == "waiting" else tuple(report(epoch, draw.random()) for epoch in range(1, draw.randint(1, 5)))
    fitted = state == "complete" and not curve
    best = max(range(len(curve)), key=lambda place: curve[place].metrics["macro_f1"], default=-1) + 1
    latency = draw.choice([None, 3.0]) if state == "pruned" else 3.0
    measured = measurement(0.5, 1000, 3.0 * len(curve), best_epoch=best, epochs=len(curve), latency_ms=latency)
    known = replace(
        complete(number, "tfidf" if fitted else "lora", 0.5, 1000, 1.0), state=state, curve=curve, values={},
        measurement=None, so_far=draw.choice([None, measured]) if state == "pruned" and curve else None,
    )  # fmt: skip
    if state != "complete":
        return known
    return replace(known, measurement=measured, values={"macro_f1": 0.5, "latency_ms": 3.0})


ALLOWED = re.compile(
    r"it has run (none|\d epochs?)"
    r"|tfidf trains in no epochs; name the whole trial, \d+"
    r"|it (has failed|is running), and only epochs of complete and of pruned trials are points"
    r"|what its epochs cost was not kept when it was pruned"
    r"|latency_ms was not measured"
)


def test_every_epoch_of_any_trial_is_a_point_or_says_why_not() -> None:
    draw, objectives = random.Random(0), ("macro_f1", "latency_ms")
    known, reasons = [drawn(number, draw) for number in range(300)], set()
    for whole in known:
        named = {one.point for one in epochs_of(whole, objectives)}
        for epoch in range(1, 7):
            try:
                found = record_at(Point(whole.number, epoch), known, objectives, "toy")
            except UserError as error:
                assert Point(whole.number, epoch) not in named
                reason = str(error).partition(" to choose: ")[2]
                assert ALLOWED.fullmatch(reason), reason
                reasons.add(reason.split()[-1])
            else:
                assert set(found.values) == set(objectives)
        instead = epochs_instead(whole, objectives)
        assert bool(instead) == bool(named and whole.state == "pruned")
        for name in re.findall(r"\d+@\d+", instead):
            assert record_at(point_named(name), known, objectives, "toy").state == "complete"
    assert {"none", "epochs", "points", "pruned", "measured"} <= reasons, "each kind of reason was drawn"
