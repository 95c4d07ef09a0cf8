"""Counts of a study, and how long the rest will take."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from peftsearch.results.status import status
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config

START = datetime(2026, 1, 1, 12, 0)


def timed(record: Record, seconds: float) -> Record:
    return replace(record, started=START, ended=START + timedelta(seconds=seconds))


def test_counts_by_state_and_method() -> None:
    found = status([complete(0, "lora", 0.8, 1, 1.0), Record(1, "running", config("lora")), Record(2, "waiting")])
    assert found.states == {"complete": 1, "running": 1, "waiting": 1}
    assert found.methods == {"lora": {"complete": 1, "running": 1}, "not started": {"waiting": 1}}
    assert [record.number for record in found.running] == [1]


def test_time_left_is_shared_by_the_workers_that_run() -> None:
    done = [timed(complete(0, "lora", 0.8, 1, 1.0), 10), timed(complete(1, "full", 0.8, 1, 1.0), 30)]
    running = [Record(number, "running", config()) for number in (2, 3)]
    assert status([*done, *running], budget=6).seconds_left == 4 * 20 / 2
    assert status(done, budget=2).seconds_left == 0


def test_time_left_is_unknown_before_the_first_trial_and_without_a_budget() -> None:
    assert status([Record(0, "running", config())], budget=5).seconds_left is None
    assert status([timed(complete(0, "lora", 0.8, 1, 1.0), 10)]).seconds_left is None
