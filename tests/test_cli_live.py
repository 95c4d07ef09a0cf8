"""The live view on a terminal: what is said while it is shown stays, and the view itself goes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import click
import pytest

from peftsearch.cli.live import confirming, search_view
from peftsearch.cli.shared.output import complain
from peftsearch.cli.shared.volume import QUIET
from peftsearch.confirm.progress import ConfirmedRun, RunsSoFar
from peftsearch.core.progress import StepReport
from peftsearch.results.outlook.prospect import Prospect
from peftsearch.storage.confirm_queue import REFERENCE, Repeat
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.records import Record
from tests.confirm.test_summary import old_run
from tests.helpers.records import OBJECTIVES, complete, config
from tests.helpers.terminal import WIDTH, Screen


def running(method: str, at: StepReport | None) -> Record:
    now = datetime.now()
    started, alive = now - timedelta(seconds=10), now.timestamp()
    found = Record(5, "running", config(method), worker=identity("cpu"), started=started, heartbeat=alive, at=at)
    return replace(found, last_step=alive if at else None, slowest_step=0.1 if at else None)


def test_confirm_shows_a_bar_for_each_run_and_keeps_a_line_of_each_ended_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    both = ((Repeat(3), running("lora", StepReport(20, 80, 0.5))), (Repeat(REFERENCE), running("tfidf", None)))
    with confirming("macro_f1") as (on_run, on_tick):
        on_tick(RunsSoFar(0, 3, both, 95.0))
        heading, bar, facts, reference, age = screen.lines()
        assert heading == "0 of 3 runs done, about 1 min 35 s left"
        assert (bar[:30], bar[-5:], len(bar)) == ("trial 3 lora, seed 42        ━", " 25 %", WIDTH)
        assert facts == "  epoch 1/3, step 20/80, loss 0.500, 10 s so far, about 30 s left, lr 3.1e-4"
        assert (reference, age) == ("the reference tfidf, seed 42  starting", "  10 s so far, learning rate 3.1e-4")
        on_run(ConfirmedRun(old_run(1, 43, 0.85), config("probe"), 1, 3, 65.0))
        on_tick(RunsSoFar(1, 3, both[:1], 65.0))
        assert screen.lines()[:3] == [
            "1/3 trial 1 (probe), seed 43: macro F1 0.8500 on test, 0.8600 on validation,",
            "took 30 s, about 1 min 5 s left",
            "1 of 3 runs done, about 1 min 5 s left",
        ]
    assert screen.lines() == [
        "1/3 trial 1 (probe), seed 43: macro F1 0.8500 on test, 0.8600 on validation,",
        "took 30 s, about 1 min 5 s left",
    ]


def test_the_cell_of_a_notebook_gets_lines_and_no_views(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen(monkeypatch)
    monkeypatch.setenv("TERM", "xterm-color")  # both as ipykernel sets them
    monkeypatch.setenv("CLICOLOR_FORCE", "1")
    with confirming("macro_f1") as (on_run, on_tick):
        on_tick(RunsSoFar(0, 3, ((Repeat(3), running("lora", StepReport(20, 80, 0.5))),), 95.0))
        assert screen.written == ""
        on_run(ConfirmedRun(old_run(1, 43, 0.85), config("probe"), 1, 3, 65.0))
    assert len(screen.lines()) == 2
    assert screen.lines()[0].startswith("1/3 trial 1 (probe), seed 43: macro F1 0.8500 on test")


def test_quiet_shows_none_of_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(monkeypatch)
    with click.Context(click.Command("confirm")) as context:
        context.meta[QUIET] = True
        with confirming("macro_f1") as (on_run, on_tick):
            on_tick(RunsSoFar(0, 3, (), 95.0))
            on_run(ConfirmedRun(old_run(1, 43, 0.85), config("probe"), 1, 3, 65.0))
        for err in (True, False):
            with search_view(("macro_f1",), 2, err=err) as tick:
                tick([])
                tick([complete(0, "lora", 0.9, 10, 1.0)])
    assert (screen.written, capsys.readouterr().out) == ("", "")


def test_a_pipe_is_told_once_what_the_time_limit_allows(capsys: pytest.CaptureFixture[str]) -> None:
    began = datetime(2026, 1, 1)
    found = [
        replace(complete(number, "lora", 0.9, 100, 1.0), started=began, ended=began + timedelta(seconds=60))
        for number in range(3)
    ]
    with search_view(OBJECTIVES, None, 3600.0) as on_tick:
        for ended in range(4):
            on_tick(found[:ended])
    shown = capsys.readouterr()
    assert re.fullmatch(r"about 4\d to 8\d more trials are likely to end in the .* left\n", shown.err)
    assert [line[:16] for line in shown.out.splitlines()] == [f"{n + 1} done: trial {n} " for n in range(3)]


def test_the_live_view_says_what_more_trials_would_bring_and_works_it_out_once_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen, asked = Screen(monkeypatch), list[int]()
    told = Prospect(24, quality=0.0031, quality_at_most=0.0143, volume=0.0123, volume_at_most=0.0456)

    def prospect(records: Sequence[Record], objectives: Sequence[str]) -> Prospect | None:
        asked.append(len(records))
        return told if len(records) > 1 else None

    monkeypatch.setattr("peftsearch.results.outlook.prospect.prospect", prospect)
    found = [complete(number, "lora", 0.9, 100, 1.0) for number in range(2)]
    with search_view(OBJECTIVES, 40, err=True) as on_tick:
        on_tick(found[:1])
        assert "more trials" not in screen.written
        on_tick(found)
        on_tick(found)
        shown = " ".join(screen.lines())
    assert shown.startswith(
        "2 of 40 trials done 20 more trials are likely to add 0.0031 macro F1 (at most 0.0143) and 1.2 % of the"
        " hypervolume of whole trials (at most 4.6 %) "
    ), shown
    assert asked == [1, 2]


def test_words_are_wrapped_and_commands_are_left_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that holds a line's end could not be copied."""
    screen = Screen(monkeypatch)
    command = f"  peftsearch train --config {'a' * 60}.yaml --out DIR"
    complain(f"the page is /a/folder/of/which/nobody/knows/what/it/is/for/q/report.html (14.9 MB); then:\n{command}")
    assert screen.lines() == [
        "the page is /a/folder/of/which/nobody/knows/what/it/is/for/q/report.html",
        "(14.9 MB); then:",
        command,
    ]
