"""What the supervisor relies on, for every engine there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.core.strategies import ENGINES
from peftsearch.workers.engine import Ended, Engine, Worker
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.local import LocalEngine
from tests.helpers.cluster import nodes
from tests.helpers.search import FAKE_WORKER, Search, until

__all__ = ["nodes"]
BARE_WORKER = "tests.helpers.bare_worker"

MAKE: dict[str, Callable[[pytest.FixtureRequest, str], Engine]] = {
    "local": lambda _, module: LocalEngine(2, module=module),
    "ray": lambda request, module: request.getfixturevalue("nodes").engine(2, module),
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Its workers work on a study."""
    with closing(MAKE[request.param](request, FAKE_WORKER)) as engine:
        yield engine


@pytest.fixture(params=ENGINES)
def bare_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Its workers open no study, so that they start within a moment."""
    with closing(MAKE[request.param](request, BARE_WORKER)) as engine:
        yield engine


def end_of(worker: Worker) -> Ended:
    until(lambda: worker.poll() is not None)
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
    search: Search, bare_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_END", "signal")
    ended = end_of(bare_engine.start(search.job, 0))
    assert (ended.report, ended.how, ended.lost) == (None, "signal SIGKILL", False)


def test_a_worker_that_crashes_leaves_the_end_of_its_log(
    search: Search, bare_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_END", "crash")
    ended = end_of(bare_engine.start(search.job, 0))
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
    until(lambda: worker.identity() is not None and one_trains(search))
    [on_trial] = [record.worker for record in search.records() if record.state == "running"]
    identity = worker.identity()
    assert identity is not None
    assert {name: on_trial[name] for name in ("pid", "host")} == {name: identity[name] for name in ("pid", "host")}
    worker.interrupt()
    assert end_of(worker) == Ended(WorkerReport("interrupted"))
    assert not one_trains(search)


def test_a_worker_that_does_not_listen_can_be_killed(
    search: Search, bare_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = tmp_path / "ready"
    monkeypatch.setenv("FAKE_END", "deaf")
    monkeypatch.setenv("FAKE_READY", str(ready))
    worker = bare_engine.start(search.job, 0)
    until(lambda: ready.exists() and worker.identity() is not None)
    worker.interrupt()
    worker.kill()
    assert end_of(worker).how == "signal SIGKILL"
