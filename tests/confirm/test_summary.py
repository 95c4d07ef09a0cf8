"""What is said of confirmed trials: exact words, and the numbers in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import ttest_rel

from peftsearch.confirm.run import ConfirmedRun
from peftsearch.confirm.summary import Confirmation, Confirmed, confirmation
from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.report.confirmation import confirmation_json, confirmation_view, progress_line, sentences
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirmations import SeedRun, write_opening, write_run
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config, measurement, store
from tests.report.test_study_views import printed

RECORDS = [
    complete(0, "full", 0.90, 22_000_000, 40.0, learning_rate=2e-5),
    complete(1, "lora", 0.88, 300_000, 20.0, rank=8, targets="query_value"),
    complete(2, "tfidf", 0.70, 30_000, 1.0),
]
SCORES = {
    0: {43: 0.86, 44: 0.87, 45: 0.88},
    1: {43: 0.85, 44: 0.87, 45: 0.86},
    2: {43: 0.71},
}
ROWS = ClassReport(("a", "b"), ((0, 0, 900), (1, 0, 300)))


def run(trial: int, seed: int, score: float, seconds: float = 20.0) -> SeedRun:
    test = SplitScores({"macro_f1": score, "accuracy": score}, ROWS)
    return SeedRun(trial, seed, 30.0, "2026-01-01T00:00:00+00:00", measurement(score + 0.01, 100, seconds), test)


def stored(folder: Path, scores: dict[int, dict[int, float]], records: list[Record] = RECORDS) -> StoredStudy:
    found = open_stored("toy", store(folder, records))
    for trial, by_seed in scores.items():
        for seed, score in by_seed.items():
            write_run(found.study, run(trial, seed, score))
    return found


def found(folder: Path, scores: dict[int, dict[int, float]]) -> Confirmation:
    return confirmation(stored(folder, scores))


def test_best_on_test_first(tmp_path: Path) -> None:
    scores = {0: {43: 0.6}, 1: {43: 0.85}, 2: {43: 0.71}}
    assert [row.record.number for row in found(tmp_path, scores).rows] == [1, 2, 0]


def test_the_table_fits_a_hundred_columns_with_all_its_numbers(tmp_path: Path) -> None:
    text = printed(*confirmation_view(found(tmp_path, SCORES)))
    lines = text.splitlines()
    assert lines[0] == "toy: 3 trials trained again with other seeds, and measured on the test split (1,200 rows)"
    assert max(map(len, lines)) <= 100
    for word in ("0.9000", "0.8700 ± 0.0100", "22 M", "1 (deterministic)", "20.00", "query_value", "0.7100"):
        assert word in text


def test_which_cannot_be_told_apart_and_how_optimistic_the_search_was(tmp_path: Path) -> None:
    expected = ttest_rel(list(SCORES[1].values()), list(SCORES[0].values())).confidence_interval(0.95)
    assert list(sentences(found(tmp_path, SCORES))) == [
        f"trial 1 cannot be told apart from trial 0, the best on test, over the same seeds by Student's t-test: "
        f"difference -0.0100, 95 % interval {expected.low:+.4f} to {expected.high:+.4f}",
        # (0.90 - 0.87, 0.88 - 0.86, 0.70 - 0.71): mean 0.0133
        "on test, macro F1 is 0.0133 worse (from -0.0100 to 0.0300) than the validation scores by which the trials "
        "were chosen: choosing by them made them optimistic",
    ]


def test_a_clear_winner(tmp_path: Path) -> None:
    told = list(sentences(found(tmp_path, {0: SCORES[0], 2: {43: 0.71}})))
    assert told[0] == "trial 0 is better on test than the others here over the same seeds by Student's t-test (95 %)"


def test_one_seed_tells_nothing(tmp_path: Path) -> None:
    told = list(sentences(found(tmp_path, {0: {43: 0.9}, 1: {43: 0.8}, 2: {43: 0.7}})))
    assert told[0] == "trial 0 cannot be compared with 1, 2: that takes 2 seeds or more; use --seeds"


def test_one_seed_of_one_trial_tells_nothing(tmp_path: Path) -> None:
    told = list(sentences(found(tmp_path, {0: {43: 0.95}})))
    assert told == [
        "one seed does not show how far scores spread; use --seeds 2 or more",
        "on test, macro F1 is 0.0500 better than the validation scores by which the trials were chosen: "
        "choosing by them did not make them optimistic",
    ]


def test_what_failed_is_said_and_stands_last(tmp_path: Path) -> None:
    results = stored(tmp_path, {2: {43: 0.7}})
    failure = {"kind": "not_finite", "message": "validation loss is nan after epoch 1"}
    write_run(results.study, SeedRun(0, 43, 3.0, "2026-01-01T00:00:00+00:00", failure=failure))
    told = confirmation(results)
    assert [row.record.number for row in told.rows] == [2, 0]
    assert list(sentences(told))[-1] == "trial 0, seed 43 failed: not_finite: validation loss is nan after epoch 1"
    assert "–" in printed(*confirmation_view(told))


def test_nothing_yet(tmp_path: Path) -> None:
    assert confirmation_view(found(tmp_path, {})) == ["toy: no trial has been confirmed yet"]


def test_json_has_everything(tmp_path: Path) -> None:
    results = stored(tmp_path, SCORES)
    write_opening(results.study, [0, 1, 2])
    told = confirmation_json(confirmation(results))
    assert (told["metric"], told["test_rows"], told["opened"][0]["trials"]) == ("macro_f1", 1200, (0, 1, 2))
    first, second, third = told["trials"]
    assert (first["test"]["mean"], first["behind_best"]) == (pytest.approx(0.87), None)
    assert (second["behind_best"]["seeds"], second["behind_best"]["told_apart"]) == (3, False)
    assert (second["searched"], second["optimism"]) == (0.88, pytest.approx(0.02))
    assert second["validation"]["mean"] == pytest.approx(0.87)
    assert (third["random"], third["test"]["deviation"]) == (False, None)
    assert [run["seed"] for run in first["runs"]] == [43, 44, 45]
    assert first["runs"][0]["test"]["classes"]["labels"] == ("a", "b")


def test_a_progress_line() -> None:
    progress = ConfirmedRun(run(1, 43, 0.85), config("lora"), 2, 7)
    assert progress_line(progress, "macro_f1") == (
        "2 of 7: trial 1 (lora), seed 43: macro F1 0.8500 on test, 0.8600 on validation, 30.0 s"
    )
    failed = replace(progress.run, test=None, failure={"kind": "not_finite", "message": "loss is nan"})
    assert progress_line(replace(progress, run=failed), "macro_f1") == (
        "2 of 7: trial 1 (lora), seed 43 failed: not_finite: loss is nan"
    )


def test_of_an_error_less_is_better(tmp_path: Path) -> None:
    """An objective of which 🤗 Evaluate computes an error: sorted and judged the other way round."""
    mae = "evaluate:mae"
    rows = tuple(
        Confirmed(record, config("lora"), measurement(metrics={mae: 0.2}), (_of(mae, number, score),), mae)
        for number, (record, score) in enumerate(zip(RECORDS[:2], (0.3, 0.4), strict=True))
    )
    found = Confirmation("toy", mae, rows, ())
    assert found.optimism == {0: pytest.approx(0.1), 1: pytest.approx(0.2)}
    assert "is 0.1500 worse (from 0.1000 to 0.2000) than" in list(sentences(found))[-1]


def _of(metric: str, trial: int, score: float) -> SeedRun:
    return replace(run(trial, 43, 0.5), test=SplitScores({metric: score}, ROWS))
