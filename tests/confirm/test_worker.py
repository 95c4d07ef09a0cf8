"""Runs in worker processes: killed, interrupted and continued as trials are."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from peftsearch.confirm import run as run_module
from peftsearch.confirm.progress import ConfirmedRun
from peftsearch.confirm.run import Places, Wanted, confirm
from peftsearch.storage.confirmations import read_runs
from peftsearch.workers.outcome import Outcome
from tests.helpers.confirming import DATA, Confirming, confirming


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confirming:
    monkeypatch.setattr(run_module, "WORKER", "tests.helpers.fake_confirm_worker")
    return confirming(tmp_path, monkeypatch)


def go(toy: Confirming, wanted: Wanted, workers: int = 1, on_run: object = None) -> Outcome:
    told = on_run or toy.told.append
    return confirm(toy.stored, toy.spec, DATA, wanted, Places.local(workers), told, toy.said.append)  # type: ignore[arg-type]


def failures(toy: Confirming) -> dict[tuple[int, int], str | None]:
    return {(run.trial, run.seed): run.failure and run.failure["kind"] for run in read_runs(toy.again().study)}


def test_a_killed_worker_is_replaced_and_its_run_tried_again(
    toy: Confirming, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kill").touch()
    monkeypatch.setenv("FAKE_KILL_ONCE", str(tmp_path / "kill"))
    assert go(toy, Wanted((0, 1), seeds=2), workers=2) == Outcome("done")
    assert failures(toy) == dict.fromkeys([(0, 43), (0, 44), (1, 43), (1, 44)])
    alone = {(run.trial, run.seed): run.alone for run in read_runs(toy.again().study)}
    assert alone == {(0, 43): False, (0, 44): True, (1, 43): False, (1, 44): True}
    assert [done.run.failure["kind"] for done in toy.told if done.run.failure] == ["killed"]
    assert (toy.told[-1].place, toy.told[-1].total) == (4, 4)


def test_a_run_that_kills_its_worker_twice_is_recorded(toy: Confirming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_KILL", "full")
    assert go(toy, Wanted((0, 1), seeds=1)) == Outcome("done")
    assert failures(toy) == {(0, 43): "killed", (1, 43): None}
    [run, _] = read_runs(toy.again().study)
    assert run.failure == {"kind": "killed", "message": "its worker process was killed"}


def test_sigterm_puts_the_run_back_and_the_next_call_goes_on(toy: Confirming, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.5")

    def on_run(done: ConfirmedRun) -> None:
        toy.told.append(done)
        os.kill(os.getpid(), signal.SIGTERM)

    wanted = Wanted((0, 1), seeds=2)
    assert go(toy, wanted, on_run=on_run) == Outcome("interrupted", "SIGTERM")
    assert failures(toy) == {(0, 43): None}
    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert go(toy, Wanted((1,), seeds=1)) == Outcome("done")
    assert failures(toy) == {(0, 43): None, (1, 43): None}, "what the first call left waiting was not wanted now"
    assert go(toy, wanted) == Outcome("done")
    assert failures(toy) == dict.fromkeys([(0, 43), (0, 44), (1, 43), (1, 44)])
