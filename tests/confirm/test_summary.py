"""What is said of confirmed trials: exact words, and the numbers in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from peftsearch.confirm.compared import validation_values
from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.jackknife import pseudo_values
from peftsearch.confirm.progress import ConfirmedRun
from peftsearch.confirm.statistics import Comparison, Scores
from peftsearch.confirm.summary import Confirmation, confirmation
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.core.points import Point
from peftsearch.core.predictions import Predictions
from peftsearch.report.confirmation import confirmation_view, sentences
from peftsearch.report.confirmation_json import confirmation_json
from peftsearch.report.confirming import progress_line
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirm_queue import REFERENCE
from peftsearch.storage.confirmations import RowClasses, SeedRun, write_opening, write_run
from peftsearch.storage.kept.predictions import write_predictions
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, measurement, store
from tests.report.test_study_views import printed

WHEN = "2026-01-01T00:00:00+00:00"
RECORDS = [
    complete(0, "full", 0.90, 22_000_000, 40.0, learning_rate=2e-5),
    complete(1, "lora", 0.88, 300_000, 20.0, rank=8, targets="query_value"),
    complete(2, "tfidf", 0.70, 30_000, 1.0),
]
LABELS = np.arange(1200) % 2
OLD_ROWS = ClassReport(("a", "b"), ((0, 0, 900), (1, 0, 300)))


def said(wrong: int, seed: int) -> Predictions:
    """What a classifier says that gets so many of 1,200 rows wrong: mostly the same ones, and a few by chance."""
    rng = np.random.default_rng(seed)
    rows = np.concatenate([np.arange(wrong - 20), rng.choice(np.arange(600, 1200), 20, replace=False)])
    guesses = LABELS.copy()
    guesses[rows] = 1 - guesses[rows]
    return Predictions(np.eye(2, dtype=np.float32)[guesses], LABELS)


def run(trial: int, seed: int, found: Predictions, seconds: float = 20.0, alone: bool = True) -> SeedRun:
    pairs, counts = np.unique(np.stack([found.labels, found.predicted], axis=1), axis=0, return_counts=True)
    report = ClassReport(("a", "b"), tuple((int(a), int(b), int(n)) for (a, b), n in zip(pairs, counts, strict=True)))
    score = float(f1_score(found.labels, found.predicted, average="macro"))
    test = SplitScores({"macro_f1": score, "accuracy": score}, report)
    measured = measurement(score + 0.01, 100, seconds)
    return SeedRun(trial, seed, 30.0, WHEN, measured, test, rows=RowClasses.of(found), alone=alone)


def old_run(trial: int, seed: int, score: float) -> SeedRun:
    """As an earlier version kept it, without the classes of the rows."""
    return SeedRun(trial, seed, 30.0, WHEN, measurement(score + 0.01), SplitScores({"macro_f1": score}, OLD_ROWS))


WRONG = {0: (120, 123, 126), 1: (121, 124, 127), 2: (300,)}
"""Trial → rows that each of its seeds gets wrong."""


def stored(folder: Path, wrong: Mapping[int, Sequence[int]] = WRONG, records: list[Record] = RECORDS) -> StoredStudy:
    found = replace(open_stored("toy", store(folder, records)), folder=RunFolder(folder / "toy"))
    for trial, counts in wrong.items():
        for place, count in enumerate(counts):
            write_run(found.study, run(trial, 43 + place, said(count, 100 * (trial + 2) + place)))
    return found


def found(folder: Path, wrong: Mapping[int, Sequence[int]] = WRONG) -> Confirmation:
    return confirmation(stored(folder, wrong))


def test_best_on_test_first(tmp_path: Path) -> None:
    told = found(tmp_path, {0: (300, 310), 1: (100, 110), 2: (200,)})
    assert [row.record.number for row in told.rows] == [1, 2, 0]


def test_the_intervals_are_those_of_the_statistics(tmp_path: Path) -> None:
    told = found(tmp_path)
    scores = {
        row.record.number: Scores(
            np.stack([pseudo_values("macro_f1", said.predicted, LABELS, 2) for said in _said(row)]), row.random
        )
        for row in told.rows
    }
    expected = Comparison(scores, bounds=(0.0, 1.0))
    for row in told.rows:
        assert row.interval == expected.interval(row.record.number)
        assert row.may_be_best is expected.best_set[row.record.number]
        assert row.interval.mean == pytest.approx(np.mean(list(row.test.values())))
    first, second, _ = told.rows
    assert second.behind(first) == expected.difference(1, 0)
    assert [row.record.number for row in told.may_be_best] == [0, 1]


def _said(row: Confirmed) -> list[Predictions]:
    number = row.record.number
    return [said(count, 100 * (number + 2) + place) for place, count in enumerate(WRONG[number])]


def test_the_cheapest_near_the_best(tmp_path: Path) -> None:
    """By the study's objectives other than metrics, in their order."""
    told = found(tmp_path)
    assert told.costs == ("trainable_parameters", "train_seconds")
    assert told.cheapest is told.rows[1]
    assert replace(told, objectives=("macro_f1",)).costs == ("trainable_parameters", "train_seconds")
    assert found(tmp_path / "x", {0: (100, 103), 1: (300, 303)}).cheapest.record.number == 0  # type: ignore[union-attr]


def test_of_equally_large_trials_noise_does_not_say_which_is_the_cheapest(tmp_path: Path) -> None:
    """The first has the better mean, and takes 5 % longer."""
    study = stored(tmp_path, {}, [complete(0, "lora", 0.9, 1000, 21.0), complete(1, "lora", 0.9, 1000, 20.0)])
    for trial, seconds in ((0, 21.0), (1, 20.0)):
        for place, wrong in enumerate(WRONG[trial]):
            write_run(study.study, run(trial, 43 + place, said(wrong, 100 * (trial + 2) + place), seconds))
    cheapest = [confirmation(one).cheapest for one in (study, study.with_tolerance("none"))]
    assert [row.record.number for row in cheapest if row] == [0, 1]


def test_it_says_which_may_be_the_best_and_which_is_the_cheapest(tmp_path: Path) -> None:
    told = found(tmp_path)
    difference = told.rows[1].behind(told.rows[0])
    assert difference is not None
    assert list(sentences(told))[:3] == [
        "trials 0 and 1 may be the best: the others are worse by more than rows and seeds explain (95 %)",
        f"trial 1 minus trial 0 on test: {difference.mean:+.4f}, 95 % interval {difference.low:+.4f} to "
        f"{difference.high:+.4f}",
        "trial 1 (lora) is the cheapest of the 2 within one standard error of the best mean, by trainable parameters, "
        "then train time",
    ]
    assert not any("equal" in line for line in sentences(told))


def test_a_cheaper_trial_that_may_be_the_best_is_not_near_it(tmp_path: Path) -> None:
    """Of two trials alone, nine rows more tell them apart; among seven trials they do not."""
    others = {number: (200 + number,) * 3 for number in range(2, 7)}
    records = [*RECORDS[:2], *(complete(number, "lora", 0.8, 400_000, 20.0) for number in others)]
    told = confirmation(stored(tmp_path, {0: (120, 123, 126), 1: (129, 132, 135), **others}, records))
    assert told.cheapest is told.near_best[0] is told.rows[0]
    best, difference, cheapest = list(sentences(told))[:3]
    assert best.startswith("trials 0 and 1 may be the best: ")
    assert difference.endswith(" for these two alone; among 7 trials, chance can do as much")
    assert cheapest == "no other trial is within one standard error of trial 0, which has the best mean"


def test_a_clear_winner(tmp_path: Path) -> None:
    told = list(sentences(found(tmp_path, {0: (100, 103, 106), 2: (300,)})))
    assert told[0] == "trial 0 is better on test than every other trial here (95 %, over rows and seeds)"
    assert not any("cheapest" in line for line in told)


def test_all_may_be_the_best(tmp_path: Path) -> None:
    told = list(sentences(found(tmp_path, {0: (120, 123), 1: (121, 124)})))
    assert told[0] == "trials 0 and 1 may each be the best: rows and seeds explain their differences (95 %)"


def test_one_seed_tells_nothing(tmp_path: Path) -> None:
    told = found(tmp_path, {0: (120,), 1: (124,)})
    assert [row.may_be_best for row in told.rows] == [None, None]
    assert (
        next(sentences(told)) == "which trial may be the best cannot be said from one seed each (0 and 1); "
        "use --seeds 2 or more"
    )
    assert told.cheapest is None
    alone = list(sentences(found(tmp_path / "x", {0: (120,)})))
    assert alone[0] == "one seed does not show how far scores spread; use --seeds 2 or more"


def test_how_far_validation_overstates_is_said_of_each_trial(tmp_path: Path) -> None:
    """With an interval where the search's predictions are kept: trial 0 was lucky, trial 1 was not."""
    results = stored(tmp_path)
    perfect, usual = Predictions(np.eye(2, dtype=np.float32)[LABELS], LABELS), said(120, 7)
    write_predictions(results.folder.predictions(0), perfect)
    write_predictions(results.folder.predictions(1), usual)
    told = confirmation(results)
    rows = {row.record.number: row for row in told.rows}
    over = rows[0].overstated
    assert over is not None
    assert over == rows[0].compared.overstatement(Point(0), validation_values("macro_f1", perfect))  # type: ignore[union-attr]
    assert over.mean == pytest.approx(1 - np.mean(list(rows[0].test.values())))
    assert (rows[1].overstated.told_apart, rows[2].overstated) == (False, None)  # type: ignore[union-attr]
    gaps = {point.trial: gap for point, gap in told.optimism.items()}
    assert list(sentences(told))[3:] == [
        f"the search's validation macro F1 of trial 0 was better than its test macro F1: {over.mean:+.4f}, 95 % "
        f"interval {over.low:+.4f} to {over.high:+.4f}, more than rows and seeds explain",
        f"the search's validation macro F1 minus test macro F1: {gaps[1]:+.4f} (trial 1), {gaps[2]:+.4f} (trial 2)",
    ]


def test_the_reference_is_the_line_to_beat(tmp_path: Path) -> None:
    results = stored(tmp_path)
    write_run(results.study, run(REFERENCE, 43, said(121, 9)))
    told = confirmation(results)
    assert told.reference is not None
    assert (told.reference.config.method, told.reference.record.number in {0, 1, 2}) == ("tfidf", False)
    assert [row.record.number for row in told.rows] == [0, 1, 2]
    assert [row.record.number for row in told.may_be_best] == [0, 1], "it is no candidate"
    line = next(line for line in sentences(told) if "reference" in line)
    assert line.startswith("trial 0 minus TF-IDF with logistic regression, the reference, on test: ")
    assert line.endswith("; trial 0 is not shown to be better than it")
    assert "ref." in printed(*confirmation_view(told))


def test_a_trial_that_is_worse_than_the_reference_is_told_so(tmp_path: Path) -> None:
    results = stored(tmp_path)
    write_run(results.study, run(REFERENCE, 43, said(121, 0)))
    told = confirmation(results)
    told = replace(told, rows=told.rows[2:])  # the worst of the three alone
    line = next(line for line in sentences(told) if "reference" in line)
    assert line.endswith("; trial 2 is worse than it")


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_table_keeps_every_number_whole(tmp_path: Path, width: int) -> None:
    told = found(tmp_path)
    lines = printed(*confirmation_view(told), width=width).splitlines()
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert text.startswith("toy: 3 trials trained again with other seeds, and measured on the test split (1,200 rows)")
    interval = told.rows[0].interval
    assert interval is not None
    for word in (
        f"{interval.mean:.4f}",
        f"{interval.low:.4f} to {interval.high:.4f}",
        "22 M",
        "1 (no chance)",
        "20.00",
    ):
        assert word in text


def test_the_time_is_that_of_runs_alone(tmp_path: Path) -> None:
    results = stored(tmp_path, {})
    for seed, (seconds, alone) in enumerate([(80.0, False), (90.0, False), (30.0, True)], start=43):
        write_run(results.study, run(0, seed, said(120, seed), seconds, alone))
    assert confirmation(results).rows[0].train_seconds == 30.0


def test_runs_of_an_earlier_version_are_read_and_can_be_repeated(tmp_path: Path) -> None:
    results = stored(tmp_path, {1: (120, 121)})
    for seed, score in ((43, 0.86), (44, 0.87)):
        write_run(results.study, old_run(0, seed, score))
    told = confirmation(results)
    old = next(row for row in told.rows if row.record.number == 0)
    assert (old.interval, old.may_be_best, old.test_spread.mean) == (None, None, pytest.approx(0.865))  # type: ignore[union-attr]
    assert told.without_rows == (Point(0),)
    assert list(sentences(told))[-1] == (
        "an earlier version confirmed trial 0 and did not keep what was said of each row, so there is no interval; "
        "to do these runs again: peftsearch confirm --study toy --trial 0"
    )


def test_what_failed_is_said_and_stands_last(tmp_path: Path) -> None:
    results = stored(tmp_path, {2: (300,)})
    failure = {"kind": "not_finite", "message": "validation loss is nan after epoch 1"}
    write_run(results.study, SeedRun(0, 43, 3.0, WHEN, failure=failure))
    told = confirmation(results)
    assert [row.record.number for row in told.rows] == [2, 0]
    assert list(sentences(told))[-1] == "trial 0, seed 43 failed: not_finite: validation loss is nan after epoch 1"
    assert "–" in printed(*confirmation_view(told))


def test_nothing_yet(tmp_path: Path) -> None:
    assert confirmation_view(found(tmp_path, {})) == ["toy: no trial has been confirmed yet"]


def test_json_has_everything_but_the_rows(tmp_path: Path) -> None:
    results = stored(tmp_path)
    write_opening(results.study, [Point(0), Point(1), Point(2)])
    write_run(results.study, run(REFERENCE, 43, said(320, 9)))
    told = confirmation_json(confirmation(results))
    assert (told["metric"], told["test_rows"], told["opened"][0]["trials"]) == ("macro_f1", 1200, [0, 1, 2])
    assert (told["may_be_best"], told["near_best"], told["cheapest"]) == ([0, 1], [0, 1], 1)
    assert told["cheapest_by"] == ["trainable_parameters", "train_seconds"]
    first, second, third = told["trials"]
    assert first["behind_best"] is None
    assert (second["behind_best"]["told_apart"], second["may_be_best"]) == (False, True)
    assert second["interval"]["low"] < second["test"]["mean"] < second["interval"]["high"]
    assert (second["searched"], third["random"], third["test"]["deviation"]) == (0.88, False, None)
    assert [run["seed"] for run in first["runs"]] == [43, 44, 45]
    assert first["runs"][0]["test"]["classes"]["labels"] == ("a", "b")
    assert "rows" not in first["runs"][0]
    assert (told["reference"]["trial"], told["reference"]["behind_best"]["told_apart"]) == (None, True)


def test_a_progress_line() -> None:
    progress = ConfirmedRun(old_run(1, 43, 0.85), config("lora"), 2, 7)
    assert progress_line(progress, "macro_f1") == (
        "2/7 trial 1 (lora), seed 43: macro F1 0.8500 on test, 0.8600 on validation, took 30 s"
    )
    assert progress_line(replace(progress, left=150.0), "macro_f1").endswith("took 30 s, about 2 min 30 s left")
    failed = replace(progress.run, test=None, failure={"kind": "not_finite", "message": "loss is nan"})
    assert progress_line(replace(progress, run=failed), "macro_f1") == (
        "2/7 trial 1 (lora), seed 43 failed: not_finite: loss is nan"
    )
    reference = replace(progress, run=replace(progress.run, trial=REFERENCE), config=config("tfidf"))
    assert progress_line(reference, "macro_f1").startswith("2/7 the reference (tfidf), seed 43: macro F1 0.8500")


def test_of_an_error_less_is_better(tmp_path: Path) -> None:
    """An objective of which 🤗 Evaluate computes an error: judged the other way round."""
    mae = "evaluate:mae"
    rows = tuple(
        Confirmed(record, config("lora"), measurement(metrics={mae: 0.2}), (_of(mae, number, score),), mae)
        for number, (record, score) in enumerate(zip(RECORDS[:2], (0.3, 0.4), strict=True))
    )
    assert Confirmation("toy", mae, rows, ()).optimism == {Point(0): pytest.approx(0.1), Point(1): pytest.approx(0.2)}


def test_a_metric_that_is_not_counted_row_by_row_has_no_interval_and_says_so() -> None:
    error = "expected_calibration_error"
    row = Confirmed(RECORDS[0], config("lora"), measurement(metrics={error: 0.2}), (_of(error, 0, 0.1),), error)
    assert next(sentences(Confirmation("toy", error, (row,), ()))) == (
        "expected calibration error has no interval: it is not counted from true and predicted classes"
    )


def _of(metric: str, trial: int, score: float) -> SeedRun:
    return replace(old_run(trial, 43, 0.5), test=SplitScores({metric: score}, OLD_ROWS))
