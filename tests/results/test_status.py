"""Counts of a study, and how long the rest will take."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from peftsearch.results.status import LifeSigns, life_signs, status
from peftsearch.storage.records import Record
from peftsearch.storage.worker_identity import identity
from tests.helpers.records import complete, config
from tests.helpers.workers import dead_worker

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


BEGAN = START.timestamp()
HERE = identity("cpu")
ELSEWHERE = {"pid": 1, "host": "elsewhere", "started": 0.0}


@pytest.mark.parametrize(
    ("worker", "heartbeat", "step", "now", "expected"),
    [
        (HERE, 100, 99, 101, LifeSigns(101, 2, stale=False)),
        (HERE, 100, None, 101, LifeSigns(101, 1, stale=False)),
        (HERE, None, None, 5, LifeSigns(5, 5, stale=False)),
        (HERE, 400, 50, 401, LifeSigns(401, 351, stale=True)),  # it hangs
        (HERE, 100, 99, 175, LifeSigns(175, 76, stale=True)),  # it was stopped
        (ELSEWHERE, 100, 99, 159, LifeSigns(159, 60, stale=False)),
        (ELSEWHERE, 100, 99, 161, LifeSigns(161, 62, stale=True)),
        (dead_worker(), 100, 99, 101, LifeSigns(101, 2, stale=True)),
        ({}, None, None, 5, LifeSigns(5, 5, stale=False)),
        ({}, None, None, 15, LifeSigns(15, 15, stale=True)),
    ],
)
def test_a_running_trial_tells_how_it_is(
    worker: dict[str, Any], heartbeat: float | None, step: float | None, now: float, expected: LifeSigns
) -> None:
    record = Record(
        0,
        "running",
        worker=worker,
        started=START,
        heartbeat=heartbeat and BEGAN + heartbeat,
        last_step=step and BEGAN + step,
        slowest_step=1.0 if step else None,
    )
    assert life_signs(record, BEGAN + now) == expected


def test_the_age_of_a_running_trial_is_in_the_json() -> None:
    record = Record(7, "running", started=datetime.now() - timedelta(seconds=100))
    found = status([record]).to_dict()
    assert found["running"] == [7]
    assert found["life_signs"]["7"]["stale"] is True
    assert 100 <= found["life_signs"]["7"]["age"] == found["life_signs"]["7"]["last_sign"] < 110
