"""How the database that holds studies is opened: safely where it is SQLite, and with errors that a user can mend."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.errors import StorageLost, UserError
from peftsearch.core.objectives import directions_of
from peftsearch.core.secrets import HIDDEN, hide_url
from peftsearch.storage.connection.outages import StorageAway, is_outage, raise_outages, reason_of
from peftsearch.storage.connection.patience import PATIENCE_SECONDS, Patience
from peftsearch.storage.connection.sqlite import (
    BUSY_SECONDS,
    LoggedConnection,
    check_usable,
    database_file,
    existing,
    make_folder,
    make_safe,
    notice_loss,
)

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.study import Study
    from sqlalchemy.engine import URL

RACES = 5
"""Of two processes that create the tables at the same moment, one finds half of them there. It tries so often again."""

NOT_YET = re.compile(r"locked|busy|starting up|shutting down|recovery mode|too many (clients|connections)")
"""What a database says that is there and cannot be opened now. A wrong URL never gets such an answer."""

KEEP_ALIVE = {
    "connect_timeout": 10,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""Settings of libpq: without them a connection to a machine that went away in silence hangs for hours."""

NOT_PREPARED = {"prepare_threshold": None}
"""A setting of psycopg 3: a statement that it has prepared is known to one connection to the server, and pgbouncer's
transaction mode gives each transaction another one (before its version 1.21, and unless that is switched on)."""

CONNECTIONS = 1
"""Connections that a process keeps. While several of its threads ask at the same moment, it makes more for them."""

UNNAMED_DRIVER = ("postgres", "postgresql")
"""How hosting services write their URLs. SQLAlchemy refuses the first, and which driver the second means depends on its
version; here both mean psycopg, which the extra `postgres` installs."""

EXTRAS = {"postgresql": "pip install 'peftsearch[postgres]' and write postgresql+psycopg://…"}


def open_storage(
    url: str, *, patience: float = PATIENCE_SECONDS, again: bool = False, write: bool = False
) -> BaseStorage:
    """The Optuna storage at `url`, whose tables are created if they are not there.

    SQLite is opened with write-ahead logging (WAL), `BEGIN IMMEDIATE` and a busy timeout: as Optuna opens it, two
    workers can take the same waiting trial. Every other database is opened as Optuna does. The storage waits through
    outages (see `connection.patient.PatientStorage`).

    Args:
        url: a SQLAlchemy URL, like `sqlite:///runs/quickstart.db` or `postgresql+psycopg://user:word@host/name`.
        patience: how many seconds each call waits for a database that does not answer.
        again: another process has opened it with this URL, so if it cannot be opened now, that is an outage.
        write: refuse a SQLite file that only allows to be read.

    Raises:
        UserError: the storage cannot be opened. A password in the URL is never shown.
        StorageLost: the storage was opened before, and is gone or does not answer.
    """
    from peftsearch.storage.connection.patient import PatientStorage

    _quieten()
    parsed = _parse(url)
    file = database_file(parsed)
    if file and not again:
        make_folder(file)
    waiting = Patience(_shown(parsed), patience)
    opened = waiting.repeat(_opening(parsed, file, again, write))
    return PatientStorage(opened, waiting, reset=opened.remove_session)


def reopen_study(url: str, name: str, patience: float) -> Study:
    """The study `name` in the storage at `url`, both of which another process has opened.

    Raises:
        StorageLost: they are gone, or the storage does not answer.
    """
    import optuna

    storage = open_storage(url, patience=patience, again=True)
    try:
        return optuna.load_study(study_name=name, storage=storage)
    except KeyError:
        raise StorageLost(f"the study {name!r} was deleted from the storage while it was in use") from None


def study_names(url: str) -> list[str]:
    """The names of the studies in the storage at `url`, in order.

    Raises:
        UserError: the storage cannot be opened.
    """
    import optuna

    return sorted(optuna.get_all_study_names(storage=open_storage(url)))


def open_study(storage: BaseStorage, name: str, objectives: Sequence[str]) -> Study:
    """The study `name`, created if it is not there, with the directions that `objectives` have."""
    import optuna

    study = optuna.create_study(
        storage=storage,
        study_name=name,
        directions=directions_of(objectives),
        load_if_exists=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names(list(objectives))
    return study


def objective_names(study: Study) -> tuple[str, ...]:
    """The study's objectives in the order of its directions."""
    return tuple(study.metric_names or ())


def _parse(url: str) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # a ValueError where a password with : or @ is taken for a port
        shown = hide_url(url).partition("?")[0] if "://" in url else re.sub("(?s):.*@", f":{HIDDEN}@", url)
        raise UserError(
            f"{shown!r} is not a database URL; write one like sqlite:///runs/NAME.db, and in a password "
            "%40 for @, %3A for :, %2F for /"
        ) from None
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername in UNNAMED_DRIVER else parsed


def _opening(parsed: URL, file: Path | None, again: bool, write: bool) -> Callable[[bool], RDBStorage]:
    """Opens the storage each time it is called; what may pass is raised as an outage."""
    from sqlalchemy.exc import IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError

    races = iter(range(RACES))

    def open_once(_: bool) -> RDBStorage:
        try:
            return _connect(existing(parsed, file) if file and again else parsed, file, write)
        except (ImportError, NoSuchModuleError):
            raise UserError(_no_driver(parsed)) from None
        except (SQLAlchemyError, RuntimeError, AssertionError, OSError) as error:
            database = isinstance(error, IntegrityError | OperationalError | ProgrammingError)
            race = database and _is_creation_race(error) and next(races, None) is not None
            if race or NOT_YET.search(str(error)) or (again and is_outage(error)):
                raise StorageAway(_reason(parsed, error)) from None
            raise UserError(_cannot_open(parsed, error)) from None

    return open_once


def _connect(parsed: URL, file: Path | None, write: bool) -> RDBStorage:
    from peftsearch.storage.connection.remembering import RememberingStorage

    # Optuna formats the URL, and stumbles over a brace in a password.
    url = parsed.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
    if parsed.get_backend_name() == "sqlite":
        settings = {"timeout": BUSY_SECONDS, "factory": LoggedConnection}
        storage = RememberingStorage(url, engine_kwargs={"connect_args": settings})
        # RDBStorage creates its engine and uses it in one step. The connection that created the tables is thrown away
        # here, so that every later one passes through the events.
        storage.scoped_session.remove()
        make_safe(storage.engine)
        storage.engine.dispose()
        check_usable(storage.engine, write=write)
    else:
        keep_alive = {
            name: value
            for name, value in KEEP_ALIVE.items()
            if parsed.get_driver_name() in ("psycopg", "psycopg2") and name not in parsed.query
        }
        arguments = {**keep_alive, **(NOT_PREPARED if parsed.get_driver_name() == "psycopg" else {})}
        storage = RememberingStorage(
            url, engine_kwargs={"pool_pre_ping": True, "pool_size": CONNECTIONS, "connect_args": arguments}
        )
    if file:
        notice_loss(storage.engine, file)
    raise_outages(storage.engine, _shown(parsed))
    return storage


def _is_creation_race(error: Exception) -> bool:
    return re.search(r"already exists|UNIQUE constraint|duplicate key", str(error)) is not None


def _cannot_open(parsed: URL, error: Exception) -> str:
    reason = _reason(parsed, error)
    return f"cannot open the storage {_shown(parsed)} ({reason}); check the URL and that it can be reached and written"


def _reason(parsed: URL, error: Exception) -> str:
    if parsed.get_backend_name() != "sqlite" and "@" in f"{parsed.host}{parsed.database}":
        # SQLAlchemy took the first @ for the end of the password, and the driver quotes the rest of it.
        return "an @ in its password must be written as %40"
    reason = reason_of(error)
    for secret in _secrets(parsed):
        reason = reason.replace(secret, HIDDEN)
    return reason


def _no_driver(parsed: URL) -> str:
    backend = parsed.get_backend_name()
    hint = EXTRAS.get(backend, f"install a Python driver for {backend}")
    return f"no driver is installed for the storage {_shown(parsed)}; {hint}"


def _shown(parsed: URL) -> str:
    """The URL without its password and its parameters, where some drivers take passwords too."""
    return hide_url(parsed.set(query={}).render_as_string(hide_password=False))


def _secrets(parsed: URL) -> list[str]:
    """The passwords in the URL, the longest first, so that removing one leaves no part of another."""
    values = [parsed.password, *(v for k, v in parsed.query.items() if "pass" in k.lower())]
    return sorted((str(value) for value in values if value), key=len, reverse=True)


def _quieten() -> None:
    import logging

    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
