"""Tables at every width of a terminal: every number and every heading's word stands in the output whole."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.summary import Confirmation
from peftsearch.core.measurement import ClassReport, SplitScores
from peftsearch.core.objectives import OBJECTIVES
from peftsearch.methods.table import METHODS
from peftsearch.report.confirmation import confirmation_table
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.lists import (
    checks_table,
    methods_list,
    parameters_table,
    predictions_table,
    studies_table,
)
from peftsearch.report.study_preview import space_table
from peftsearch.report.tables import front_table, running_table, status_table, trials_table
from peftsearch.report.trial_details import class_table, confusion, curve_table, settings_table
from peftsearch.results.front import rows
from peftsearch.results.status import status
from peftsearch.storage.confirmations import SeedRun
from peftsearch.storage.records import Record
from peftsearch.training.dry_run import MethodCheck
from tests.helpers.records import complete, config, measurement, report
from tests.helpers.studies import study

USUAL = (60, 80, 100, 120, 200)
NUMBER = re.compile(r"(?<!\S)\d[\d,./]*(?:e-?\d+)?")
"""A number that is a word of its own; within a path or a model's name it may be broken."""
SEEDS = range(5)

Draw = random.Random


def _settings(draw: Draw) -> dict[str, bool | float | int | str]:
    known: dict[str, bool | float | int | str] = {
        "learning_rate": float(f"{10 ** draw.uniform(-5, -1):.2e}"),
        "rank": draw.choice((4, 16, 256)),
        "targets": draw.choice(("query_value", "query_key_value_dense", "all")),
        "plan": draw.choice(("10-11; 8-11; all", "query; query key value; embeddings rest; all")),
        "projection": draw.choice((True, False)),
    }
    return {name: known[name] for name in draw.sample(sorted(known), draw.randint(0, 5))}


def _trials(draw: Draw) -> list[Record]:
    """Finished, running, pruned and failed trials of one or of several backbones."""
    backbones = draw.choice((["tiny/bert"], ["tiny/bert", "sentence-transformers/paraphrase-multilingual-MiniLM-L12"]))
    found = [
        complete(
            number,
            draw.choice(tuple(METHODS)),
            draw.random(),
            int(10 ** draw.uniform(0, 11)),
            10 ** draw.uniform(-2, 6),
            backbone=draw.choice(backbones),
            **_settings(draw),
        )
        for number in range(draw.randint(1, 12) * draw.choice((1, 100)))
    ][-12:]
    reason = "at best macro_f1 0.210 by epoch 1; trial 2 has 0.673 with 7,044 parameters in 0.3 s"
    curve = tuple(report(epoch, draw.random()) for epoch in range(1, draw.randint(2, 120)))
    unfinished = config(draw.choice(tuple(METHODS)), backbones[0], **_settings(draw))
    return [
        *found,
        Record(2001, "pruned", unfinished, curve=curve, reason=reason),
        Record(2002, "running", unfinished, curve=curve),
        Record(2003, "failed", unfinished, failure={"kind": "error", "message": f"OSError: /{'x' * 90}/y is gone"}),
        Record(2004, "running"),
    ]


def _front(draw: Draw) -> FittedTable:
    names = draw.sample([name for name in OBJECTIVES if name != "f1_positive"], draw.randint(1, 6))
    records = [
        replace(record, values={name: 10 ** draw.uniform(-3, 6) for name in names})
        for record in _trials(draw)
        if record.state == "complete"
    ]
    return front_table(rows(records, names), names)


def _confirmed(draw: Draw) -> FittedTable:
    def run(trial: int, seed: int) -> SeedRun:
        scores = SplitScores({"macro_f1": draw.random()}, ClassReport(("a",), ((0, 0, 9),)))
        return SeedRun(trial, seed, 9.0, "2026-01-01", measurement(seconds=10 ** draw.uniform(-2, 6)), scores)

    trials = [record for record in _trials(draw) if record.state == "complete"]
    found = [
        Confirmed(
            record,
            record.config,
            record.measurement,
            tuple(run(record.number, seed) for seed in range(draw.randint(1, 3))),
            "macro_f1",
        )
        for record in trials
        if record.config and record.measurement
    ]
    return confirmation_table(Confirmation("toy", "macro_f1", tuple(found), ()))


def _classes(draw: Draw, most: int) -> ClassReport:
    names = ("cat", "a rather long name of a class", "donaudampfschifffahrtsgesellschaft", "[red]", "0", "кошка")
    labels = tuple(draw.choice(names) for _ in range(draw.randint(2, most)))
    places = range(len(labels))
    return ClassReport(labels, tuple((a, b, int(10 ** draw.uniform(0, 6))) for a in places for b in places))


def _curve(draw: Draw) -> FittedTable:
    trial = complete(1, "unfreezing", 0.5, 10, 1.0)
    curve = tuple(replace(r, trainable_parameters=10**r.epoch, train_seconds=1e5 * draw.random()) for r in trial.curve)
    return curve_table(replace(trial, curve=curve), ("macro_f1",))


TABLES: dict[str, Callable[[Draw], object]] = {
    "front": _front,
    "trials": lambda draw: trials_table(_trials(draw), "macro_f1"),
    "running": lambda draw: running_table([r for r in _trials(draw) if r.state == "running"], "macro_f1"),
    "status": lambda draw: status_table(status(_trials(draw), 40)),
    "confirm": _confirmed,
    "classes": lambda draw: class_table(_classes(draw, 8)),
    "named matrix": lambda draw: confusion(_classes(draw, 6))[1],
    "numbered matrix": lambda draw: confusion(_classes(draw, 12))[1],
    "curve": _curve,
    "settings": lambda draw: settings_table(complete(1, "unfreezing", 0.5, 10, 1.0, **_settings(draw))),
    "check": lambda draw: space_table(study()),
    "params": lambda draw: parameters_table([(config("unfreezing", **_settings(draw)), [10**8, 10**9, 10**6])]),
    "checks": lambda draw: checks_table(
        [MethodCheck("lora", None, True, 10**9, True), MethodCheck("full", "no " * 40)]
    ),
    "studies": lambda draw: studies_table(
        [("quickstart", "Which one is best? " * 6, Path("studies/quickstart.yaml"))], {}
    ),
    "predictions": lambda draw: predictions_table(
        ["a text " * 50], [{"label": "x" * 50, "probability": draw.random()}]
    ),
}


def printed(part: object, width: int, terminal: bool) -> str:
    console = Console(width=width, highlight=False, force_terminal=terminal, color_system=None, no_color=True)
    with console.capture() as captured:
        console.print(part, crop=False)
    return re.sub(r"\x1b\[[0-9;]*m", "", captured.get())


def _words(table: FittedTable) -> set[str]:
    """What has to stand in the output whole: words of headings, words, numbers, and the numbers within texts."""
    whole = {word for column in table.columns for word in column.heading.split()}
    for column in table.columns:
        for cell in column.cells:
            whole |= {cell.plain} if column.kind != "text" else set(NUMBER.findall(cell.plain))
    return whole


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_cut_off_at_any_width(name: str) -> None:
    for seed in SEEDS:
        draw = random.Random(seed)
        table = TABLES[name](draw)
        assert isinstance(table, FittedTable)
        for width in (*USUAL, *draw.sample(range(60, 200), 6)):
            for terminal in (True, False):
                text = printed(table, width, terminal)
                assert max(map(len, text.splitlines())) <= width, (seed, width)
                missing = {word for word in _words(table) if word not in text}
                assert not missing, (seed, width, terminal, missing, text)


def test_a_wide_terminal_is_used_up_to_what_the_table_needs() -> None:
    table = trials_table(_trials(random.Random(1)), "macro_f1")
    lines = {width: len(printed(table, width, terminal=True).splitlines()) for width in (80, 120, 400)}
    assert lines[80] > lines[120] > lines[400] == len(_trials(random.Random(1))) + 4
    assert printed(table, 400, terminal=True) == printed(table, 500, terminal=True)


def test_what_does_not_fit_is_printed_in_blocks_that_begin_with_the_key() -> None:
    table = FittedTable(keys=1)
    for heading in ("trial", "first", "second", "third"):
        table.add_column(heading, "number")
    table.add_row("7", "1" * 12, "2" * 12, "3" * 12)
    lines = printed(table, 34, terminal=False).splitlines()
    assert [line.split() for line in lines] == [
        ["trial", "first", "second"],
        ["7", "1" * 12, "2" * 12],
        [],
        ["trial", "third"],
        ["7", "3" * 12],
    ]


def test_texts_fold_before_headings_do() -> None:
    table = FittedTable()
    table.add_column("a long heading", "number")
    table.add_column("text")
    table.add_row("1", "some words " * 5)
    assert "a long heading" in printed(table, 40, terminal=False)
    assert "a long heading" not in printed(table, 30, terminal=False)


def test_square_brackets_are_no_markup() -> None:
    table = FittedTable()
    table.add_column("[bold]")
    table.add_row("[red]x[/red]")
    assert printed(table, 80, terminal=True).split() == ["[bold]", "─" * 12, "[red]x[/red]"]


def test_no_url_of_a_method_is_broken() -> None:
    for width in (60, 80, 120):
        text = "\n".join(printed(part, width, terminal=True) for part in methods_list(METHODS.values()))
        missing = [url for m in METHODS.values() for url in re.findall(r"https?://\S+", m.paper) if url not in text]
        summaries = [h.summary for method in METHODS.values() for h in method.own.values()]
        missing += [url for words in summaries for url in re.findall(r"https?://\S+", words) if url not in text]
        assert not missing
