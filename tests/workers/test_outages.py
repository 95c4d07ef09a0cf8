"""Whole searches whose storage does not answer for a while, or never again."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import optuna
import pytest
import sqlalchemy
from click.testing import CliRunner

from peftsearch.cli import main
from peftsearch.core.errors import StorageLost
from peftsearch.core.measurement import EpochReport
from peftsearch.storage.budget import finished
from peftsearch.storage.claims import claim
from peftsearch.storage.connection.outages import StorageAway
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.liveness import recovery
from peftsearch.storage.liveness.recovery import reclaim
from peftsearch.storage.optuna_access import storage_of
from peftsearch.study.suggest import baseline_config
from peftsearch.workers.engine import Ended
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.search_task import search_task
from peftsearch.workers.supervisor import GRACE_SECONDS, Outcome, Supervisor
from peftsearch.workers.worker import run_job
from tests.helpers import fake_trainer
from tests.helpers.outages import FakeTime, Flaky
from tests.helpers.postgres import Server
from tests.helpers.scripted_engine import ScriptedEngine
from tests.helpers.search import Search, in_study, until


def exact(search: Search) -> None:
    """The budget was trained, each configuration once, all baselines among them, and nothing is left over."""
    found = search.records()
    done = [record for record in found if record.done]
    keys = Counter(record.config.key() for record in done if record.config)
    assert len(done) == len(keys) == search.job.budget
    assert {baseline_config(search.spec, baseline).key() for baseline in search.spec.baselines} <= set(keys)
    assert {record.state for record in found} <= {"complete", "failed"}
    assert not any(record.failure["kind"] == "error" for record in found if record.failure)


@pytest.mark.parametrize("seed", range(5))
def test_a_search_through_a_flaky_storage_is_exact(search: Search, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Of all calls of a search, one in five fails: before it reaches the storage, or after its work is done."""
    study, time = search.prepare(), FakeTime()
    waiting, storage = patience_of(storage_of(study)), storage_of(study)
    waiting.clock, waiting.pause = time.clock, time.pause
    flaky = Flaky(storage.wrapped, random.Random(seed), share=0.1)  # type: ignore[attr-defined]
    storage.wrapped = flaky  # type: ignore[attr-defined]
    monkeypatch.setattr(recovery, "UNNAMED_SECONDS", -1.0)
    while finished(study) < search.job.budget:
        assert in_study(study, search, fake_trainer.train) == WorkerReport("budget")
        waiting.trouble = None  # as a minute later
        reclaim(study)
    exact(search)
    assert all(len(record.curve) == 3 for record in search.records() if record.state == "complete")
    assert len(flaky.failed) >= 4


def test_a_trial_in_training_goes_on_training_during_an_outage(search: Search) -> None:
    study, time, away = search.prepare(), FakeTime(), list[bool]()
    waiting, storage = patience_of(storage_of(study)), storage_of(study)
    waiting.clock, waiting.pause = time.clock, time.pause
    wrapped, reports = storage.wrapped, list[EpochReport]()  # type: ignore[attr-defined]

    class Away:
        def __getattr__(self, name: str) -> Any:
            if away:
                raise StorageAway("connection refused")
            return getattr(wrapped, name)

    storage.wrapped = Away()  # type: ignore[attr-defined]

    def train(config: Any, report: Callable[[EpochReport], None], should_stop: Any) -> Any:
        def reporting(epoch: EpochReport) -> None:
            reports.append(epoch)
            if len(reports) == 2:
                away.append(True)
                time.events.append((time.now + 200.0, away.clear))
            report(epoch)

        return fake_trainer.train(config, reporting, should_stop)

    one = replace(search, job=replace(search.job, budget=3))
    assert in_study(study, one, train) == WorkerReport("budget")
    assert time.now >= 200
    assert len(reports) == 9
    exact(one)


def test_a_storage_that_stays_away_is_the_workers_end_and_no_trials(search: Search) -> None:
    study = search.prepare()
    storage = storage_of(study)
    patience_of(storage).seconds = 0.0
    wrapped, away = storage.wrapped, list[bool]()  # type: ignore[attr-defined]

    class Away:
        def __getattr__(self, name: str) -> Any:
            if away:
                raise StorageAway("database or disk is full")
            return getattr(wrapped, name)

    storage.wrapped = Away()  # type: ignore[attr-defined]

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        away.append(True)
        return fake_trainer.train(config, report, should_stop)

    with pytest.raises(StorageLost, match=r"does not answer \(database or disk is full\); nothing is lost"):
        in_study(study, search, train)
    assert [record.state for record in search.records()] == ["running", "waiting", "waiting"]
    assert search.records()[0].failure is None


def supervisor(search: Search, engine: ScriptedEngine) -> Supervisor:
    return Supervisor(search.prepare(), search.job, engine)


def test_a_parent_that_can_still_read_notices_a_full_disk(search: Search) -> None:
    parent = supervisor(search, ScriptedEngine())
    storage = storage_of(parent.study)
    wrapped = storage.wrapped  # type: ignore[attr-defined]

    class Full:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("set_"):
                raise StorageAway("database or disk is full")
            return getattr(wrapped, name)

    storage.wrapped = Full()  # type: ignore[attr-defined]
    patience_of(storage).seconds = 0.0
    assert parent.step()
    parent.reclaimed = float("-inf")
    with pytest.raises(StorageLost, match="database or disk is full"):
        parent.step()


def test_a_worker_that_lost_the_storage_ends_the_search_and_its_trial_waits_again(search: Search) -> None:
    engine = ScriptedEngine()
    parent = supervisor(search, engine)
    parent.step()
    [worker] = engine.started
    worker.known_as = {"pid": 7, "host": "here"}
    claim(parent.study, 6, worker.known_as)
    worker.ended = Ended(WorkerReport("storage", "the storage db has not answered for 300 s"))
    assert not parent.step()
    assert parent.outcome == Outcome("storage", "the storage db has not answered for 300 s")
    assert [record.state for record in search.records()] == ["waiting"] * 3


def test_a_request_to_end_is_not_kept_waiting_by_the_storage(search: Search) -> None:
    parent = supervisor(search, ScriptedEngine())
    waiting = patience_of(storage_of(parent.study))
    waiting.clock = lambda: 1000.0
    for end in (1000.0 + GRACE_SECONDS, 1000.0):
        parent.on_request_to_end(signal.SIGINT)
        assert waiting.until == end


def test_a_worker_that_finds_no_storage_says_so_and_makes_none(search: Search) -> None:
    search.prepare()
    file = Path(search.job.storage.removeprefix("sqlite:///"))
    for part in file.parent.glob("toy.db*"):
        part.unlink()
    report = run_job(search.job, threading.Event(), partial(search_task, fake_trainer.trainer))
    assert report == WorkerReport("storage", f"the database file {file} was deleted while it was in use")
    assert not file.exists()


def delete_file(search: Search) -> str:
    file = Path(search.job.storage.removeprefix("sqlite:///"))
    for part in sorted(file.parent.glob("toy.db*")):  # the log last: a worker that misses it first says so
        part.unlink()
    return f"the database file {file} was deleted while it was in use"


def delete_study(search: Search) -> str:
    optuna.delete_study(study_name="toy", storage=search.job.storage)
    return f"the study 'toy' was deleted from the storage {search.job.storage} while it was in use"


@pytest.mark.parametrize("fault", [delete_file, delete_study])
def test_a_storage_that_is_deleted_ends_the_search_within_seconds(
    search: Search, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Search], str]
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "5")
    said: list[str] = []

    def on_tick(records: Any) -> None:
        if any(record.state == "running" and record.heartbeat for record in records) and not said:
            said.extend([fault(search), str(time.monotonic())])

    with pytest.raises(StorageLost) as lost:
        search.run(workers=2, on_tick=on_tick)
    message, since = said
    assert str(lost.value) == message
    assert time.monotonic() - float(since) < 10


@pytest.mark.parametrize("error", [StorageLost, click.ClickException])
@pytest.mark.parametrize("reason", ["connection refused", "database or disk is full"])
def test_the_command_line_shows_a_lost_storage_in_one_line(
    search: Search, monkeypatch: pytest.MonkeyPatch, error: type[Exception], reason: str
) -> None:
    """The parent meets it itself, or gives up since a worker has met it."""
    search.prepare()

    def lost(*_: Any, **__: Any) -> None:
        raise error(f"the storage has not answered for 300 s ({reason})")

    monkeypatch.setattr("peftsearch.results.open.open_stored", lost)
    result = CliRunner().invoke(main, ["status", "--study", search.job.path, "--storage", search.job.storage])
    assert (result.exit_code, result.output) == (1, f"Error: the storage has not answered for 300 s ({reason})\n")


@pytest.fixture
def on_postgres(search: Search, postgres_url: Callable[[], str]) -> Search:
    return replace(search, job=replace(search.job, storage=postgres_url(), budget=8))


def running(search: Search) -> bool:
    return any(record.state == "running" and record.curve for record in search.records())


def in_background(search: Search) -> tuple[threading.Thread, list[Outcome]]:
    outcomes: list[Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(search.run(workers=2)))
    thread.start()
    return thread, outcomes


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        (
            "DROP DATABASE {name} WITH (FORCE)",
            r'is damaged \(.* "{name}" does not exist\); put a whole copy in its place',
        ),
        ("ALTER DATABASE {name} RENAME TO {name}_old", r'is damaged \(.* "{name}" does not exist\)'),
    ],
)
def test_a_database_of_a_server_that_is_deleted_is_lost_at_once(
    on_postgres: Search, postgres_server: Server, statement: str, message: str
) -> None:
    study, name = on_postgres.prepare(), on_postgres.job.storage.rpartition("/")[2]
    postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    postgres_server.execute(statement.format(name=name))
    with pytest.raises(StorageLost, match=message.format(name=name)):
        study.ask()


def test_tables_of_a_server_that_are_deleted_are_lost_at_once(on_postgres: Search, postgres_server: Server) -> None:
    study = on_postgres.prepare()
    with sqlalchemy.create_engine(on_postgres.job.storage).begin() as connection:
        connection.exec_driver_sql("DROP TABLE trials, studies CASCADE")
    with pytest.raises(StorageLost, match=r'refuses a query \(relation "studies" does not exist.*\)'):
        study.ask()


def test_a_server_that_restarts_and_connections_that_are_cut_are_waited_for(
    on_postgres: Search, postgres_server: Server, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    search = on_postgres
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    search.prepare()
    thread, outcomes = in_background(search)
    until(lambda: running(search))
    for _ in range(5):
        database = search.job.storage.rpartition("/")[2]
        postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
        time.sleep(0.2)
    log: list[str] = []

    def is_missed() -> bool:
        log.append(capfd.readouterr().err)
        return "does not answer" in "".join(log)

    postgres_server.stop()
    until(is_missed)  # a supervisor pauses between its looks
    postgres_server.start()
    thread.join(timeout=60)
    assert outcomes == [Outcome("done")]
    exact(search)
    assert not [record for record in search.records() if record.failure]
    log.append(capfd.readouterr().err)
    said = "".join(log)
    assert said.count("does not answer") == said.count("the storage answers again after") == 1
    assert postgres_server.password not in said


def test_a_server_that_does_not_come_back_ends_the_search_and_nothing_is_lost(
    on_postgres: Search, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = replace(on_postgres, job=replace(on_postgres.job, storage_patience=3.0))
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    stopped: list[float] = []

    def on_tick(records: Any) -> None:
        if any(record.curve for record in records) and not stopped:
            postgres_server.stop()
            stopped.append(time.monotonic())

    try:
        # It has been away for no whole second where an earlier call has used up the patience.
        away = r"(has not answered for \d+ s|does not answer) \(.*\); nothing is lost: once it answers"
        with pytest.raises(StorageLost, match=away):
            search.run(workers=2, on_tick=on_tick)
        assert time.monotonic() - stopped[0] < 20
    finally:
        with suppress(RuntimeError):
            postgres_server.start()
    assert search.run(workers=2) == Outcome("done")
    exact(search)
