"""What the supervisor relies on, for every engine there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from peftsearch.core.strategies import ENGINES
from peftsearch.workers.engine import Ended, Engine, Worker
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.local import LocalEngine
from tests.helpers.cluster import nodes
from tests.helpers.search import FAKE_WORKER, Search, until

__all__ = ["nodes"]
START_SECONDS = 120.0
"""How long an actor and its worker may take to start where many processes want the same core."""

MAKE: dict[str, Callable[[pytest.FixtureRequest], Engine]] = {
    "local": lambda _: LocalEngine(2, module=FAKE_WORKER),
    "ray": lambda request: request.getfixturevalue("nodes").engine(2),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with closing(MAKE[request.param](request)) as engine:
        yield engine


def end_of(worker: Worker) -> Ended:
    until(lambda: worker.poll() is not None, START_SECONDS)
    ended = worker.poll()
    assert ended is not None
    return ended


def one_trains(search: Search) -> bool:
    return any(record.state == "running" for record in search.records())


def test_it_has_room_for_workers(engine: Engine) -> None:
    assert engine.capacity(holding=0, training=0) == engine.capacity(holding=1, training=1) == 2


def test_a_worker_that_is_done_says_so(search: Search, engine: Engine) -> None:
    search.prepare()
    worker = engine.start(replace(search.job, budget=2), 1)
    assert worker.index == 1
    assert worker.poll() is None
    assert end_of(worker) == Ended(WorkerReport("budget"))
    assert worker.poll() == Ended(WorkerReport("budget")), "it may be asked again"
    assert [record.state for record in search.records()].count("complete") == 2
    worker.interrupt()
    worker.kill()


def test_a_worker_that_a_signal_ends_is_a_death(
    search: Search, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_KILL", "full")
    search.prepare()
    ended = end_of(engine.start(search.job, 0))
    assert (ended.report, ended.how, ended.lost) == (None, "signal SIGKILL", False)


def test_a_worker_that_crashes_leaves_the_end_of_its_log(
    search: Search, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CRASH", "1")
    search.prepare()
    ended = end_of(engine.start(search.job, 0))
    assert (ended.report, ended.how) == (None, "exit code 1")
    assert ended.log == str(search.job.run_folder.worker_log(0))
    assert ended.log_end.endswith(" | RuntimeError: no such device")


def test_a_worker_is_known_as_it_stands_on_its_trial(
    search: Search, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that is interrupted puts this trial back."""
    monkeypatch.setenv("FAKE_SECONDS", "60")
    search.prepare()
    worker = engine.start(search.job, 0)
    until(lambda: one_trains(search), START_SECONDS)
    [on_trial] = [record.worker for record in search.records() if record.state == "running"]
    identity = worker.identity()
    assert identity is not None
    assert {name: on_trial[name] for name in ("pid", "host")} == {name: identity[name] for name in ("pid", "host")}
    worker.interrupt()
    assert end_of(worker) == Ended(WorkerReport("interrupted"))
    assert not one_trains(search)


def test_a_worker_that_does_not_listen_can_be_killed(
    search: Search, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "60")
    monkeypatch.setenv("FAKE_DEAF", "1")
    search.prepare()
    worker = engine.start(search.job, 0)
    until(lambda: one_trains(search), START_SECONDS)
    worker.interrupt()
    worker.kill()
    assert end_of(worker).how == "signal SIGKILL"
