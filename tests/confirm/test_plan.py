"""Which runs confirm a study, and under which conditions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.confirm.plan import alone_last, chosen_points, missing_runs, reseeded, unknown_conditions
from peftsearch.core.constraints import Constraint
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirm_queue import REFERENCE, REFERENCE_POINT, Repeat
from peftsearch.storage.confirmations import RowClasses, SeedRun
from peftsearch.storage.study_attributes import write_constraints, write_reference
from tests.helpers.confirming import RECORDS
from tests.helpers.records import complete, config, measurement, store

WHEN = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, RECORDS))


def keys(stored: StoredStudy, seeds: int, *known: SeedRun) -> list[tuple[int, int]]:
    return [(run.key[0].trial, run.key[1]) for run in missing_runs(stored, RECORDS[:3], seeds, known)]


def test_by_default_the_front_and_then_the_best_others(stored: StoredStudy) -> None:
    assert [record.number for record in chosen_points(stored, ())] == [0, 1, 2, 3]
    assert [record.number for record in chosen_points(stored, (), best=1)] == [0, 1, 2], "the front is never cut"


def test_the_front_that_is_confirmed_is_chosen_with_the_tolerance(tmp_path: Path) -> None:
    trials = [complete(0, "lora", 0.90, 1000, 10.5), complete(1, "lora", 0.88, 1000, 10.0)]
    found = open_stored("toy", store(tmp_path, trials))
    assert [record.number for record in chosen_points(found, (), best=1)] == [0]
    assert [record.number for record in chosen_points(found, (), best=2)] == [0, 1], "what it leaves off runs up"
    assert [record.number for record in chosen_points(found.with_tolerance("none"), (), best=1)] == [0, 1]


def test_no_runner_up_breaks_a_constraint(stored: StoredStudy) -> None:
    write_constraints(stored.study, [Constraint("trainable_parameters", 1500)])
    assert [record.number for record in chosen_points(stored, ())] == [0, 1, 2]
    assert [record.number for record in chosen_points(stored, (3,))] == [3], "unless it is named"


def test_best_and_numbers_each_once(stored: StoredStudy) -> None:
    assert [record.number for record in chosen_points(stored, ("best", 3, 0))] == [0, 3]


def test_a_trial_that_cannot_be_confirmed(stored: StoredStudy) -> None:
    for trial, message in (
        (9, "study 'toy' has no trial 9; its trials are 0 to 4"),
        (4, "--trial 4: it was pruned, and only complete trials can be trained again: 0, 1, 2, 3"),
    ):
        with pytest.raises(UserError) as caught:
            chosen_points(stored, (0, trial))
        assert str(caught.value) == message


def test_every_trial_with_the_first_seed_and_then_with_the_next(stored: StoredStudy) -> None:
    """A stop leaves pairs. tfidf is run once."""
    assert keys(stored, 3) == [(0, 43), (1, 43), (2, 43), (0, 44), (1, 44), (0, 45), (1, 45)]


def test_what_is_done_or_hopeless_is_not_repeated(stored: StoredStudy) -> None:
    rows = RowClasses("", "")
    known = [
        SeedRun(0, 43, 1.0, WHEN, measurement(), rows=rows),
        SeedRun(1, 43, 1.0, WHEN, failure={"kind": "not_finite", "message": ""}),
        SeedRun(0, 44, 1.0, WHEN, failure={"kind": "out_of_memory", "message": ""}),
        SeedRun(1, 44, 1.0, WHEN, measurement()),  # of an earlier version, without its rows
    ]
    assert keys(stored, 2, *known) == [(2, 43), (0, 44), (1, 44)]


def test_the_conditions_of_the_search_are_repeated(stored: StoredStudy) -> None:
    exact = replace(RECORDS[1], measurement=measurement(threads=4, exact=True, precision="fp32"))
    runs = missing_runs(stored, [RECORDS[0], exact, RECORDS[2]], 1, ())
    assert [run.repeat for run in runs] == [Repeat(0, 2, False), Repeat(1, 4, True), Repeat(2, 2, False)]
    assert [run.config.training.precision for run in runs] == ["bf16", "fp32", "auto"], "tf-idf has no choice of one"
    older = replace(RECORDS[3], measurement=measurement())
    assert unknown_conditions([exact, older]) == [Point(3)]
    assert missing_runs(stored, [older], 1, ())[0].repeat == Repeat(3, None, False)


def test_the_reference_is_measured_once_where_the_search_has_one(stored: StoredStudy) -> None:
    write_reference(stored.study, {"metrics": {"macro_f1": 0.6}, "seconds": 2.0, "fingerprint": "x"})
    [*_, reference] = [run for run in missing_runs(stored, RECORDS[:2], 2, ()) if run.key[0] == REFERENCE_POINT]
    assert (reference.config.method, reference.config.settings["inverse_penalty"]) == ("tfidf", 10.0)
    assert keys(stored, 2)[:4] == [(0, 43), (1, 43), (2, 43), (REFERENCE, 43)]


def test_the_last_run_of_each_trial_is_trained_alone(stored: StoredStudy) -> None:
    together, alone = alone_last(missing_runs(stored, RECORDS[:3], 3, ()))
    assert [run.key for run in together] == [(Point(0), 43), (Point(1), 43), (Point(0), 44), (Point(1), 44)]
    assert [run.key for run in alone] == [(Point(0), 45), (Point(1), 45), (Point(2), 43)]
    assert all(run.repeat.alone for run in alone)


def test_only_the_seed_differs() -> None:
    original = config("lora")
    [first, second] = reseeded(original, 2)
    assert (first.training.seed, second.training.seed) == (43, 44)
    assert replace(second, training=original.training) == original
