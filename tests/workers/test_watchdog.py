from __future__ import annotations

import random
from dataclasses import replace

import pytest

from peftsearch.storage.records import Record
from peftsearch.workers.watchdog import Watchdog, heartbeat_interval, limit_of

START = 1_700_000_000.0
RUNNING = Record(0, "running", worker={"pid": 1}, heartbeat=START, last_step=START, slowest_step=1.0)


def written(record: Record, at: float, silent: float) -> Record:
    """The trial after a heartbeat, at which it had made no step for so long."""
    return replace(record, heartbeat=START + at, last_step=START + at - silent)


@pytest.mark.parametrize(
    ("slowest", "asked", "limit"),
    [(None, None, 1800.0), (0.0, None, 300.0), (12.0, None, 300.0), (60.0, None, 600.0), (60.0, 20.0, 20.0)],
)
def test_the_limit_follows_from_the_slowest_step(slowest: float | None, asked: float | None, limit: float) -> None:
    assert limit_of(replace(RUNNING, slowest_step=slowest), asked) == limit


def test_a_trial_without_a_step_hangs_though_its_heart_beats() -> None:
    watchdog, found = Watchdog(), []
    for now in range(0, 320, 5):
        trial = written(RUNNING, now, silent=now)
        watchdog.look([trial], now)
        found.append(watchdog.hangs(trial))
    assert found[:61] == [None] * 61
    assert found[61] == "it made no step for 305 s, and its limit is 300 s"


def test_a_worker_that_writes_nothing_hangs() -> None:
    """It is stopped, say, or a library keeps all of its threads waiting."""
    watchdog, found = Watchdog(), []
    for now in range(320):
        watchdog.look([RUNNING], now)
        found.append(watchdog.hangs(RUNNING))
    assert found[:301] == [None] * 301
    assert found[301] == "it made no step for 301 s, and its limit is 300 s"


def test_with_a_short_limit_a_silent_worker_has_half_a_minute() -> None:
    watchdog = Watchdog(limit=2.0)
    for now in range(31):
        watchdog.look([RUNNING], now)
        assert watchdog.hangs(RUNNING) is None
    watchdog.look([RUNNING], 31)
    assert watchdog.hangs(RUNNING) == "it made no step for 31 s, and its limit is 2 s"
    assert watchdog.hangs(written(RUNNING, 31, silent=3.0)) is not None, "its worker says so itself"


def test_a_machine_that_sleeps_makes_no_trial_hang() -> None:
    watchdog = Watchdog()
    watchdog.look([RUNNING], 0.0)
    watchdog.look([RUNNING], 50_000.0)
    assert watchdog.hangs(RUNNING) is None


def test_a_trial_that_is_begun_anew_is_not_blamed_for_its_first_worker() -> None:
    watchdog = Watchdog(limit=40.0)
    for now in range(60):
        watchdog.look([RUNNING], now)
    assert watchdog.hangs(RUNNING) is not None
    again = replace(RUNNING, worker={"pid": 2})
    watchdog.look([again], 61)
    assert watchdog.hangs(again) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_trial_with_steps_of_any_length_never_hangs(seed: int) -> None:
    """However the clocks of two machines differ, as long as no step takes ten times as long as one before."""
    rng = random.Random(seed)
    watchdog, now, off, slowest = Watchdog(), 0.0, rng.uniform(-1e6, 1e6), 30.0
    trial = replace(RUNNING, slowest_step=slowest)
    while now < 50_000:
        step = rng.uniform(0.1, 9 * slowest)
        for passed in range(0, int(step) + 1, 5):
            trial = written(trial, off + now + passed, silent=passed)
            watchdog.look([trial], now + passed)
            assert watchdog.hangs(trial) is None
        now, slowest = now + step, max(slowest, step)
        trial = replace(trial, slowest_step=slowest)


def test_a_worker_writes_often_enough_for_the_limit() -> None:
    assert [heartbeat_interval(asked) for asked in (None, 600.0, 4.0, 0.1)] == [5.0, 5.0, 1.0, 0.5]
