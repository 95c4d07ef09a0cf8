"""What is printed: complete, within 100 columns, and not marked up by what a library says."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from peftsearch.core.front.tolerance import EXACT
from peftsearch.core.seconds import timed_in
from peftsearch.report.audit import warnings
from peftsearch.report.study_views import ended_lines, front_view, newly_ended, progress_view, trial_line
from peftsearch.report.tables import front_table, trials_table
from peftsearch.report.trial_details import trial_details
from peftsearch.results.audit import audit
from peftsearch.results.formatting import config_in_words, percent, reason_in_words
from peftsearch.results.front import front, rows
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.records import Record
from peftsearch.storage.times.calibrations import write_calibration
from tests.helpers.records import OBJECTIVES, complete, config, report, store

LORA = complete(12, "lora", 0.8812, 299_526, 20.0, learning_rate=3.1e-4, rank=16, alpha_ratio=4, targets="query_value")
FULL = complete(0, "full", 0.9, 22_713_216, 1234.5, learning_rate=2e-5)
PRUNED = Record(3, "pruned", config("probe"), curve=(report(1, 0.3),), reason="trial 0 has 0.9")
FAILED = Record(4, "failed", config("full"), failure={"kind": "error", "message": "ValueError: [bold]x[/bold]\nmore"})


def printed(*parts: Any, width: int = 100) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(*parts, sep="\n")
    return captured.get()


def test_the_front_fits_a_hundred_columns_with_all_its_numbers() -> None:
    text = printed(front_table(front([LORA, FULL], OBJECTIVES), OBJECTIVES))
    assert max(map(len, text.splitlines())) <= 100
    for word in ("0.8812", "299,526", "22.7 M", "1,234.50", "0..1", "parameters", "1.3 %", "1.6 %", "100 %", "3.1e-4"):
        assert word in text
    assert "…" not in text


def test_one_backbone_s_front_fits_a_terminal_of_eighty_columns() -> None:
    text = printed(front_table(front([LORA, FULL], OBJECTIVES), OBJECTIVES), width=80)
    assert all(word in text for word in ("1,234.50", "299,526", "100 %", "query_value"))


def test_a_share_of_full_fine_tuning_that_nobody_knows_has_no_column() -> None:
    """Its parameters are known without it, its time is not."""
    assert printed(front_table(front([LORA, FULL], OBJECTIVES), OBJECTIVES)).count("vs full") == 2
    alone = printed(front_table(front([LORA], OBJECTIVES), OBJECTIVES))
    assert alone.count("vs full") == 1
    assert "–" not in alone


def test_the_backbone_is_told_where_there_are_several() -> None:
    other = complete(1, "lora", 0.5, 10, 1.0, backbone="org/tiny-roberta")
    assert "tiny-roberta" in printed(front_table(front([LORA, FULL, other], OBJECTIVES), OBJECTIVES))
    assert "bert" not in printed(front_table(front([LORA, FULL], OBJECTIVES), OBJECTIVES))


def test_which_rows_are_on_the_front_is_told_where_some_are_not() -> None:
    wasteful = replace(complete(5, "frozen", 0.6, 30_000_000, 2_000.0))
    lines = printed(front_table(rows([LORA, wasteful], OBJECTIVES), OBJECTIVES)).splitlines()
    marked = {word: "*" in line for line in lines for word in ("lora", "frozen") if word in line}
    assert marked == {"lora": True, "frozen": False}
    assert "*" not in printed(front_table(front([LORA, FULL], OBJECTIVES), OBJECTIVES))


def test_what_has_no_steps_has_no_batch_size() -> None:
    words = {name: config_in_words(config(name), {"batch_size"}) for name in ("probe", "tfidf", "none")}
    assert {name: "batch size" in text for name, text in words.items()} == {
        "probe": True,
        "tfidf": False,
        "none": False,
    }


def test_shares() -> None:
    assert [percent(share) for share in (None, 1.0, 0.131, 0.0132, 0.0001)] == ["–", "100 %", "13 %", "1.3 %", "0.01 %"]


def test_trials_tell_why_they_ended_early() -> None:
    text = printed(trials_table([LORA, PRUNED, FAILED], "macro_f1"))
    assert "trial 0 has 0.9" in text
    assert "[bold]x[/bold]" in text
    assert reason_in_words(FAILED) == "error: ValueError: [bold]x[/bold] more"
    assert reason_in_words(Record(1, "failed", failure={"kind": "killed"})) == "killed"


def test_trials_show_their_value_or_their_best_epoch_so_far() -> None:
    worse_at_last = replace(LORA, curve=(*LORA.curve, report(4, 0.1)))
    running = Record(5, "running", config("lora"), curve=(report(1, 0.3), report(2, 0.6), report(3, 0.4)))
    texts = replace(complete(6, "tfidf", 0.5382, 9, 1.0), curve=())
    shown = printed(trials_table([worse_at_last, running, texts, Record(7, "waiting")], "macro_f1"), width=200)
    assert "best so far" in shown
    assert [re.findall(r"0\.\d{4}", line) for line in shown.splitlines()[2:]] == [
        ["0.8812"],
        ["0.6000"],
        ["0.5382"],
        [],
    ]
    cost = printed(trials_table([LORA, running], "train_seconds"))
    assert "so far" not in cost
    assert "20.00" in cost


def test_one_line_for_each_ended_trial() -> None:
    assert trial_line(LORA, OBJECTIVES) == (
        "trial 12 complete: lora (lr 3.1e-4, rank 16, alpha/rank 4, targets query_value), macro F1 0.8812, "
        "299,526 trainable parameters, train time 20.00 s"
    )
    assert LORA.measurement is not None
    elsewhere = replace(LORA, measurement=replace(LORA.measurement, scaled_by=0.5))
    assert trial_line(elsewhere, OBJECTIVES).endswith("299,526 trainable parameters, train time ~20.00 s")
    assert trial_line(PRUNED, OBJECTIVES) == "trial 3 pruned: probe (lr 3.1e-4) after epoch 1: trial 0 has 0.9"
    assert trial_line(FAILED, OBJECTIVES) == (
        "trial 4 failed: full (lr 3.1e-4): error: ValueError: [bold]x[/bold] more"
    )


def test_a_trial_that_ended_is_told_once() -> None:
    running = replace(LORA, state="running")
    assert newly_ended([FULL, running], [FULL, LORA, PRUNED]) == [LORA, PRUNED]
    assert newly_ended([FULL, LORA], [FULL, LORA]) == []


def test_a_pipe_is_told_how_far_the_search_is_and_the_time_left() -> None:
    began = datetime(2026, 1, 1)
    timed = [replace(record, started=began, ended=began + timedelta(seconds=60)) for record in (FULL, LORA, PRUNED)]
    [first] = ended_lines([], timed[:1], OBJECTIVES, 14)
    assert first == f"1/14 {trial_line(FULL, OBJECTIVES)}, about 13 min 0 s left"
    second, third = ended_lines(timed[:1], timed, OBJECTIVES, 14)
    assert second == f"2/14 {trial_line(LORA, OBJECTIVES)}"
    assert third == f"3/14 {trial_line(PRUNED, OBJECTIVES)}, about 11 min 0 s left"
    killed = replace(FAILED, counts=False)
    assert [line.split()[0] for line in ended_lines([], [killed, FULL], OBJECTIVES, 2)] == ["0/2", "1/2"]
    assert list(ended_lines([], [FULL], OBJECTIVES, None)) == [f"1 done: {trial_line(FULL, OBJECTIVES)}"]
    assert list(ended_lines(timed, timed, OBJECTIVES, 14)) == []


@pytest.mark.parametrize(
    ("budget", "limit", "left"),
    [(14, 90.0, "1 min 30 s left"), (14, 900.0, "about 11 min 0 s left"), (None, 5.0, "5 s left")],
)
def test_a_pipe_is_told_the_time_until_the_limit_where_that_comes_first(
    budget: int | None, limit: float, left: str
) -> None:
    began = datetime(2026, 1, 1)
    timed = [replace(record, started=began, ended=began + timedelta(seconds=60)) for record in (FULL, LORA, PRUNED)]
    assert list(ended_lines([], timed, OBJECTIVES, budget, limit))[-1].endswith(f", {left}")
    assert list(ended_lines([], timed, OBJECTIVES, None, 0.4))[-1] == f"3 done: {trial_line(PRUNED, OBJECTIVES)}"


def test_the_live_view_says_what_the_time_limit_allows() -> None:
    began = datetime(2026, 1, 1)
    start = replace(LORA, started=began, ended=began + timedelta(seconds=60), starting_point=True)
    for records, budget, left in (
        ([start], None, "1 trial done, about 11 to 23 more trials are likely to end in the 10 min 0 s left"),
        ([start], 3, "1 of 3 trials done, all 3 trials are likely to end within the 10 min 0 s left"),
        ([], None, "0 trials done, 10 min 0 s left"),
    ):
        assert " ".join(printed(*progress_view(records, OBJECTIVES, budget, 600.0)).split()).startswith(left)


def test_the_live_view_shows_what_runs_the_front_and_how_far_it_is() -> None:
    running = Record(7, "running", config("lora"), curve=(report(1, 0.3),))
    text = printed(*progress_view([FULL, running, Record(8, "running")], OBJECTIVES, 20))
    for word in ("1 of 20 trials done", "1/3", "0.3000", "starting", "Pareto front so far", "22.7 M"):
        assert word in text


def test_the_front_stands_beside_its_reference(tmp_path: Path) -> None:
    reference = {"metrics": {"macro_f1": 0.5}, "seconds": 0.4, "fingerprint": "abc"}
    text = printed(*front_view(open_stored("toy", store(tmp_path, [FULL, LORA, PRUNED], reference=reference))))
    assert text.startswith("toy: 2 of 3 trials are on the Pareto front")
    assert "TF-IDF + logistic regression reaches macro F1 0.500" in text


MIXED = (
    "not all train times compare, and no factor between them is known: of the finished trials, 1 has processor "
    "seconds on AMD EPYC (1 thread), 1 has seconds by the wall clock on cpu; a search under a name of its own (--fork) "
    "measures all alike"
)


def test_trials_whose_times_do_not_compare_are_marked_and_told_once(tmp_path: Path) -> None:
    assert LORA.measurement is not None
    timed = replace(LORA.measurement, clock="processor", device="AMD EPYC (1 thread)")
    trials = [replace(LORA, measurement=timed), FULL, PRUNED]
    text = printed(*front_view(open_stored("toy", store(tmp_path, trials))), width=400)
    assert text.count(MIXED) == 1
    marked = printed(trials_table(trials, "macro_f1"), width=400).splitlines()
    assert "timed in" in " ".join(marked[:2])
    assert "processor seconds on AMD EPYC (1 thread)" in marked[2]
    assert "seconds by the wall clock on cpu" in marked[3]
    assert "seconds" not in marked[4]
    alike = printed(*front_view(open_stored("alike", store(tmp_path, [LORA, FULL], "alike"))))
    assert "train times compare" not in alike
    assert "timed in" not in printed(trials_table([LORA, FULL], "macro_f1"))


def test_times_of_another_device_are_marked_and_their_factor_is_told(tmp_path: Path) -> None:
    assert LORA.measurement is not None
    slow = replace(LORA, measurement=replace(LORA.measurement, device="slow"))
    stored = open_stored("toy", store(tmp_path, [slow, FULL]))
    for device, training in (("cpu", 0.1), ("slow", 0.4)):
        kind, seconds = timed_in("wall", device, exact=False), {"training": training, "evaluation": training / 2}
        write_calibration(stored.study, "encoder", kind, seconds, exact=False)
    text = printed(*front_view(stored), width=400)
    assert text.count("the times of 1 trial (~) are multiplied by 0.25 (0.25 where no part") == 1
    assert "they are seconds by the wall clock on slow, and the study compares seconds by the wall clock on cpu" in text
    assert "not all train times" not in text
    assert "~5.00" in text
    assert "~40.00" not in text
    assert "the train time was 20.00 s, and is multiplied by 0.25" in printed(
        *trial_details(stored.trial(0), stored.objectives, None), width=400
    )
    assert [line for line in warnings(audit(stored)) if "multiplied" in line], "the report shows these"


def test_a_front_without_trials_says_so(tmp_path: Path) -> None:
    assert front_view(open_stored("toy", store(tmp_path, []))) == ["toy: no trial has finished yet"]


def test_a_front_says_what_counts_as_equal_and_how_many_trials_that_leaves_off(tmp_path: Path) -> None:
    faster, slower = complete(0, "lora", 0.90, 1000, 10.5), complete(1, "lora", 0.88, 1000, 10.0)
    stored = open_stored("toy", store(tmp_path, [faster, slower]))
    assert noted(stored) == (
        "train time within 10 % + 0.1 s counts as equal; 1 trial is left off the front, since another one is as good "
        "within the tolerance; peftsearch front --study toy --tolerance none shows it"
    )
    assert noted(stored.with_tolerance("none")) == ""
    assert noted(stored.with_tolerance({"macro_f1": 0.001})).startswith(
        "macro F1 within 0.001 and train time within 10 % + 0.1 s count as equal; 1 trial is left off"
    )
    assert noted(stored.with_tolerance({"train_seconds": 0.1})) == "train time within 0.1 s counts as equal"


def noted(stored: StoredStudy) -> str:
    """What stands below the table of a front."""
    return " ".join(printed(*front_view(stored)[2:]).split())


def test_the_live_front_is_chosen_with_the_study_s_tolerance() -> None:
    records = [complete(0, "lora", 0.90, 1000, 10.5), complete(1, "probe", 0.88, 1000, 10.0)]
    shown = [printed(progress_view(records, OBJECTIVES, 5, tolerance=tolerance)[-1]) for tolerance in ({}, EXACT)]
    assert ["probe" in text for text in shown] == [False, True]
