"""Counts of a study, and how long the rest will take."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from peftsearch.core.progress import StepReport
from peftsearch.results.status import LifeSigns, life_signs, status
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.records import Record
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
    assert status([*done, *running], budget=6).seconds_left == (2 * 40 / 15 * 6 + 2 * 20) / 2
    assert status(done, budget=2).seconds_left == 0


def test_time_left_is_unknown_before_the_first_trial_and_without_a_budget() -> None:
    assert status([Record(0, "running", config())], budget=5).seconds_left is None
    assert status([timed(complete(0, "lora", 0.8, 1, 1.0), 10)]).seconds_left is None


def at_step(number: int, step: int, steps: int, seconds: float, ago: float = 0.0) -> Record:
    """A trial that took `seconds` for its first `step` steps, the last of which it made `ago` seconds ago."""
    last = datetime.now() - timedelta(seconds=ago)
    began = last - timedelta(seconds=seconds)
    return Record(
        number, "running", config(), started=began, last_step=last.timestamp(), at=StepReport(step, steps, 0.5)
    )


def test_a_trial_s_time_left_follows_from_its_steps() -> None:
    now = datetime.now().timestamp()
    assert life_signs(at_step(0, 10, 40, 20.0)).left == pytest.approx(60, abs=1)
    assert life_signs(at_step(0, 10, 40, 20.0, ago=5.0)).left == pytest.approx(55, abs=1)
    assert life_signs(at_step(0, 10, 40, 20.0), now + 1000).left == 0
    assert life_signs(Record(0, "running", config(), started=datetime.now())).left is None


def test_time_left_is_known_from_the_first_steps_on_before_any_trial_has_ended() -> None:
    assert status([at_step(0, 10, 40, 20.0)], budget=3).seconds_left == pytest.approx(60 + 2 * 80, abs=1)
    both = [at_step(0, 10, 40, 20.0), Record(1, "running", config(), started=datetime.now())]
    assert status(both, budget=3).seconds_left == pytest.approx((60 + 80 + 80) / 2, abs=1)


def test_a_long_trial_that_runs_is_not_taken_to_be_as_short_as_those_that_have_ended() -> None:
    cheap = timed(complete(0, "probe", 0.8, 1, 1.0), 10)
    assert status([cheap, at_step(1, 10, 100, 20.0)], budget=2).seconds_left == pytest.approx(180, abs=1)


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
