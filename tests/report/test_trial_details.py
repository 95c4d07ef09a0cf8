"""One trial in full, as people and programs read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from peftsearch.core.constraints import Constraint, checks_of
from peftsearch.core.measurement import ClassReport
from peftsearch.report.trial_details import trial_details
from peftsearch.results.as_json import full_trial_json
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config, measurement

THREE = ClassReport(("cat", "dog", "[red]"), ((0, 0, 30), (0, 1, 2), (1, 1, 20), (2, 0, 1500)))


def with_classes(report: ClassReport, **changes: Any) -> Record:
    return replace(complete(5, "lora", 0.8, 300_000, 12.0), measurement=measurement(classes=report, **changes))


def many(size: int) -> ClassReport:
    """Classes with long names, each with 1000 rows right and a few taken for the next class."""
    names = tuple(f"a rather long name of class {place}" for place in range(size))
    right = [(place, place, 1000) for place in range(size)]
    wrong = [(place, place + 1, place + 1) for place in range(size - 1)]
    return ClassReport(names, tuple(sorted(right + wrong)))


def printed(record: Record, weights: Path | None = None, width: int = 100) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(*trial_details(record, OBJECTIVES, weights), sep="\n")
    return captured.get()


def table_row(text: str, *start: str) -> list[str]:
    return next(line.split() for line in text.splitlines() if line.split()[: len(start)] == list(start))


def test_it_says_what_it_is_what_it_reached_and_where_its_weights_are() -> None:
    text = printed(with_classes(THREE), Path("runs/toy/weights/5"))
    assert text.startswith("trial 5: complete, lora on tiny/bert\n")
    for line in (
        "  macro F1 0.8000",
        "  300,000 trainable parameters",
        "  best epoch 2 of 3, seed 42",
        "  1,000 of 100,000 parameters trained",
        "  on cpu in fp32, 32 rows per forward pass, peak memory 120 MiB",
        "  weights: runs/toy/weights/5",
    ):
        assert line in text.splitlines()
    assert table_row(text, "learning_rate")[1] == "3.1e-4"
    assert table_row(text, "focal_gamma")[1] == "0"
    assert "weights: not kept, because only those of the front are" in printed(with_classes(THREE))


def test_the_conditions_of_its_training_are_shown_where_they_are_known() -> None:
    text = printed(with_classes(THREE, threads=2, exact=True), width=120).splitlines()
    assert "  on cpu in fp32 with 2 CPU threads, 32 rows per forward pass, peak memory 120 MiB" in text
    assert "  exact: without the speed-ups that change results" in text
    assert "  times in seconds by the wall clock on cpu with --exact" in text
    timed = printed(
        with_classes(THREE, clock="processor", wall_seconds=16.204, device="AMD EPYC (1 thread)"), width=120
    )
    assert (
        "  times in processor seconds on AMD EPYC (1 thread); training took 16.20 s by the wall clock"
        in timed.splitlines()
    )
    assert "exact:" not in printed(with_classes(THREE, threads=1, exact=False))


def test_classes_with_their_rows_and_a_matrix_with_names() -> None:
    text = printed(with_classes(THREE))
    assert table_row(text, "cat", "0.0196") == ["cat", "0.0196", "0.9375", "0.0384", "32"]
    assert table_row(text, "[red]", "0.0000") == ["[red]", "0.0000", "0.0000", "0.0000", "1,500"]
    assert table_row(text, "cat", "dog") == ["cat", "dog", "[red]"]
    assert table_row(text, "cat", "30") == ["cat", "30", "2", "·"]
    assert table_row(text, "[red]", "1500") == ["[red]", "1500", "·", "·"]


def test_seventeen_classes_fit_a_hundred_columns() -> None:
    text = printed(with_classes(many(17)))
    assert max(map(len, text.splitlines())) <= 100
    matrix = text[text.index("confusion matrix") :]
    assert table_row(matrix, "17") == ["17", "a", "rather…", *["·"] * 16, "1000"]
    assert table_row(matrix, "1", "2") == [str(place) for place in range(1, 18)]


def test_of_many_classes_the_largest_errors_are_told() -> None:
    text = printed(with_classes(many(150)))
    errors = text[text.index("most frequent errors") :]
    assert "a rather long name of class 148" in errors.splitlines()[2]
    assert errors.splitlines()[2].split()[-1] == "149"
    assert len(errors.strip().splitlines()) == 22


def test_the_curve_marks_the_best_epoch_and_tells_parameters_where_they_change() -> None:
    record = with_classes(THREE)
    text = printed(record)
    assert table_row(text, "2", "0.5000") == ["2", "0.5000", "0.5500", "0.5333", "3.00", "0.50", "best"]
    assert "trainable parameters" not in text[text.index("epochs:") :]
    first, *rest = record.curve
    thawing = replace(record, curve=(replace(first, trainable_parameters=55_178_513), *rest))
    assert table_row(printed(thawing), "1", "1.0000")[-1] == "55,178,513"
    assert table_row(printed(thawing), "2", "0.5000")[-2:] == ["1,000", "best"]


def test_the_pass_through_a_frozen_prefix_is_told() -> None:
    told = "  the train time of epoch 1 includes 1.25 s for the pass through the frozen layers, whose results the later"
    assert told in printed(with_classes(THREE, prefix_seconds=1.25), width=200)
    assert "the pass through the frozen layers" not in printed(with_classes(THREE))


def test_an_old_trial_has_no_classes_and_a_failed_one_its_traceback() -> None:
    assert "confusion" not in printed(complete(1, "full", 0.9, 10, 1.0))
    assert full_trial_json(complete(1, "full", 0.9, 10, 1.0), None)["classes"] is None
    failure = {"kind": "error", "message": "ValueError: [b]no[/b]", "traceback": 'Traceback:\n  File "[x]", line 1\n'}
    text = printed(Record(4, "failed", config("full"), failure=failure))
    assert text.startswith("trial 4: failed, full on tiny/bert\n  error: ValueError: [b]no[/b]\n")
    assert text.rstrip().endswith('Traceback:\n  File "[x]", line 1')
    assert printed(Record(9, "waiting")) == "trial 9: waiting\n"


def test_constraints_that_are_kept_broken_and_unknown() -> None:
    bounds = [Constraint("trainable_parameters", 100), Constraint("macro_f1", 0.5), Constraint("latency_ms", 20)]
    found = complete(0, "lora", 0.8, 3_000, 1.0)
    assert found.measurement is not None
    shown = printed(replace(found, checks=checks_of(bounds, found.measurement)))
    assert "  breaks the constraint trainable_parameters <= 100: has 3,000\n" in shown
    assert "  constraint macro_f1 >= 0.5: has 0.8000\n  constraint latency_ms <= 20: not measured\n" in shown


def test_a_class_with_a_long_word_does_not_squeeze_the_names_of_the_others() -> None:
    report = ClassReport(("good", "x" * 80), ((0, 0, 5), (1, 0, 2)))
    text = printed(with_classes(report), width=80)
    matrix = text[text.index("confusion matrix") :]
    assert table_row(matrix, "1", "good") == ["1", "good", "5", "·"]
    assert table_row(matrix, "2") == ["2", "xxxxxxxxxxxxx…", "2", "·"]
