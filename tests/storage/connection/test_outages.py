from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc

from peftsearch.core.errors import StorageLost
from peftsearch.storage.connection.outages import is_outage, reason_of
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.database import open_storage, open_study
from tests.helpers.outages import FakeTime, engine_of


def wrapped(kind: type[exc.DBAPIError], reason: str, **changes: Any) -> exc.DBAPIError:
    return kind("SELECT 1", {}, Exception(reason), **changes)


@pytest.mark.parametrize(
    "error",
    [
        wrapped(exc.OperationalError, "database is locked"),
        wrapped(exc.OperationalError, "database or disk is full"),
        wrapped(exc.OperationalError, "disk I/O error"),
        wrapped(exc.OperationalError, "server closed the connection unexpectedly"),
        wrapped(exc.OperationalError, "FATAL:  the database system is starting up"),
        wrapped(exc.OperationalError, "could not extend file: No space left on device"),
        wrapped(exc.InternalError, "cannot execute UPDATE in a read-only transaction"),
        wrapped(exc.InterfaceError, "connection already closed"),
        wrapped(exc.DatabaseError, "database disk image is malformed"),
        wrapped(exc.ProgrammingError, "anything", connection_invalidated=True),
    ],
)
def test_what_the_database_could_not_do_is_an_outage(error: exc.DBAPIError) -> None:
    assert is_outage(error)


@pytest.mark.parametrize(
    "error",
    [
        wrapped(exc.OperationalError, "too many SQL variables"),
        wrapped(exc.OperationalError, "number of parameters must be between 0 and 65535"),
        wrapped(exc.IntegrityError, "UNIQUE constraint failed"),
        wrapped(exc.DataError, "value too long"),
        wrapped(exc.ProgrammingError, 'relation "trials" does not exist'),
        KeyError("trial"),
    ],
)
def test_what_the_statement_or_optuna_must_mend_is_none(error: Exception) -> None:
    assert not is_outage(error)


def test_a_reason_is_one_line_without_the_statement() -> None:
    error = wrapped(exc.OperationalError, "  connection refused\n\tIs the server running?\n")
    assert reason_of(error) == "connection refused"
    assert reason_of(TimeoutError()) == "TimeoutError"


@pytest.mark.parametrize("share", ["SELECT", "INSERT", "UPDATE"])
@pytest.mark.parametrize("times", [1, 3])
def test_an_engine_that_fails_some_times_is_waited_for(tmp_path: Path, share: str, times: int) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/x.db")
    study = open_study(storage, "x", ["macro_f1"])
    time, left = FakeTime(), [times]
    waiting = patience_of(storage)
    waiting.clock, waiting.pause = time.clock, time.pause
    dialect = engine_of(storage).dialect
    execute = dialect.do_execute

    def fail(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if statement.startswith(share) and left[0]:
            left[0] -= 1
            raise sqlite3.OperationalError("disk I/O error")
        execute(cursor, statement, parameters, context)

    dialect.do_execute = fail  # type: ignore[method-assign, assignment]
    trial = study.ask()
    trial.suggest_float("lr", 0, 1)
    study.tell(trial, 0.5)
    assert left == [0]
    assert len(time.pauses) >= times
    assert [trial.value for trial in study.get_trials()] == [0.5]


def test_a_damaged_file_is_lost_at_once(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    study = open_study(open_storage(f"sqlite:///{file}"), "x", ["macro_f1"])
    with sqlalchemy.create_engine(f"sqlite:///{file}").begin() as other:
        other.exec_driver_sql("DROP TABLE trials")
    with pytest.raises(StorageLost) as lost:
        study.ask()
    assert str(lost.value) == (
        f"the storage sqlite:///{file} is damaged (no such table: trials);"
        " put a whole copy in its place, or begin with a new one"
    )
