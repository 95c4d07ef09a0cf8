from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.core.points import Point
from peftsearch.storage.confirmations import SeedRun, read_openings, read_runs, write_opening, write_run
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.database import open_storage, open_study
from tests.helpers.records import measurement

SCORES = SplitScores({"macro_f1": 0.7}, ClassReport(("a", "b"), ((0, 0, 3), (1, 0, 2))))


@pytest.fixture
def study() -> optuna.study.Study:
    return optuna.create_study()


def run(trial: int, seed: int, failed: bool = False) -> SeedRun:
    if failed:
        failure = {"kind": "not_finite", "message": "loss is nan"}
        return SeedRun(trial, seed, 2.0, "2026-01-01T00:00:00+00:00", failure=failure)
    return SeedRun(trial, seed, 2.0, "2026-01-01T00:00:00+00:00", measurement(), SCORES)


def test_runs_are_read_back_by_trial_and_seed_and_the_last_one_stays(study: optuna.study.Study) -> None:
    for written in (run(10, 43), run(2, 44, failed=True), run(2, 43), run(2, 44)):
        write_run(study, written)
    assert read_runs(study) == [run(2, 43), run(2, 44), run(10, 43)]


def test_every_opening_of_the_test_split_stays(study: optuna.study.Study) -> None:
    assert read_openings(study) == []
    write_opening(study, [Point(0), Point(3, 2)])
    write_opening(study, [Point(5)])
    assert [opening.points for opening in read_openings(study)] == [(Point(0), Point(3, 2)), (Point(5),)]


def test_machines_that_open_the_test_split_at_the_same_moment_lose_no_opening(tmp_path: Path) -> None:
    here, there = (open_study(open_storage(f"sqlite:///{tmp_path}/trials.db"), "toy", ("macro_f1",)) for _ in "ab")
    with one_look():
        assert read_openings(here) == []
        write_opening(there, [Point(1)])
        write_opening(here, [Point(2)])
    assert sorted(opening.trials for opening in read_openings(there)) == [(1,), (2,)]


def test_the_names_are_those_of_earlier_versions(study: optuna.study.Study) -> None:
    """A storage that an earlier version has begun goes on with this one."""
    study.set_user_attr("confirmed:2:43", run(2, 43).to_dict())
    study.set_user_attr("test_opened", [{"when": "2026-01-01T00:00:00+00:00", "trials": [2]}])
    assert read_runs(study) == [run(2, 43)]
    assert [(opening.when, opening.trials) for opening in read_openings(study)] == [("2026-01-01T00:00:00+00:00", (2,))]
