"""Opening the database that holds studies: safely where it is SQLite, and with errors that a user can mend."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy.engine import URL, Engine

BUSY_SECONDS = 60.0
"""How long a connection waits for SQLite's write lock."""

OPENING_ATTEMPTS = 5
"""Two processes that create the tables at the same moment meet each other's half: one of them tries again."""

EXTRAS = {"postgresql": "pip install 'peftsearch[postgres]' and write postgresql+psycopg://…"}


def open_storage(url: str) -> BaseStorage:
    """The Optuna storage at `url`, with its tables made if they are not there.

    SQLite is opened with WAL, `BEGIN IMMEDIATE` and a busy timeout: as Optuna opens it, two workers can take the same
    waiting trial. Every other database is opened as it is.

    Args:
        url: a SQLAlchemy URL, like `sqlite:///runs/quickstart.db` or `postgresql+psycopg://user:word@host/name`.

    Raises:
        UserError: it cannot be opened. A password in the URL is never shown.
    """
    from optuna.storages import get_storage
    from sqlalchemy.exc import ArgumentError

    _quieten()
    try:
        from sqlalchemy.engine import make_url

        parsed = make_url(url)
    except ArgumentError:
        raise UserError(
            f"{_without_password(url)!r} is not a database URL; write one like sqlite:///runs/NAME.db"
        ) from None
    if _is_file(parsed):
        _make_folder(Path(str(parsed.database)))
    return get_storage(_open(parsed, url))


def sqlite_url(file: Path) -> str:
    """The URL of a SQLite database in `file`, relative to the working directory if `file` is."""
    return f"sqlite:///{file}"


def _open(parsed: URL, url: str) -> RDBStorage:
    from sqlalchemy.exc import IntegrityError, NoSuchModuleError, OperationalError, ProgrammingError, SQLAlchemyError

    for attempt in range(1, OPENING_ATTEMPTS + 1):
        try:
            return _connect(parsed, url)
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            if attempt == OPENING_ATTEMPTS or not _is_creation_race(error):
                raise UserError(_cannot_open(parsed, error)) from None
            time.sleep(0.2 * attempt)
        except (ImportError, NoSuchModuleError):
            raise UserError(_no_driver(parsed)) from None
        except (SQLAlchemyError, RuntimeError, AssertionError, OSError) as error:
            raise UserError(_cannot_open(parsed, error)) from None
    raise AssertionError("the last attempt returns or raises")


def _connect(parsed: URL, url: str) -> RDBStorage:
    from optuna.storages import RDBStorage

    url = url.replace("{", "{{").replace("}", "}}")  # Optuna formats the URL, and stumbles over a brace in a password
    if parsed.get_backend_name() != "sqlite":
        return RDBStorage(url, engine_kwargs={"pool_pre_ping": True})
    storage = RDBStorage(url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}})
    # RDBStorage makes its engine and uses it in one step, so the connection that made the tables is thrown away here:
    # every later one passes through the two events.
    storage.scoped_session.remove()
    _make_safe(storage.engine)
    storage.engine.dispose()
    return storage


def _make_safe(engine: Engine) -> None:
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # else the driver begins by itself, and only before the first write
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL: a power cut may undo the last commit, no more

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # Optuna reads a trial's state and then writes it: only with the lock from the start is that one step.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _is_creation_race(error: Exception) -> bool:
    return re.search(r"already exists|locked|UNIQUE constraint|duplicate key", str(error)) is not None


def _is_file(parsed: URL) -> bool:
    return parsed.get_backend_name() == "sqlite" and parsed.database not in (None, "", ":memory:")


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {file.parent} for the storage: {error.strerror}") from None


def _cannot_open(parsed: URL, error: Exception) -> str:
    origin = getattr(error, "orig", None) or error
    reason = (str(origin).strip().splitlines() or [type(origin).__name__])[0]
    for secret in _secrets(parsed):
        reason = reason.replace(secret, "***")
    return f"cannot open the storage {_shown(parsed)} ({reason}); check the URL and that it can be reached and written"


def _no_driver(parsed: URL) -> str:
    backend = parsed.get_backend_name()
    hint = EXTRAS.get(backend, f"install a Python driver for {backend}")
    return f"no driver is installed for the storage {_shown(parsed)}; {hint}"


def _shown(parsed: URL) -> str:
    """The URL without its password, nor any parameter: some drivers take passwords there too."""
    return parsed.set(query={}).render_as_string(hide_password=True)


def _secrets(parsed: URL) -> list[str]:
    """Longest first, so that no part of one is left behind by another."""
    values = [parsed.password, *(v for k, v in parsed.query.items() if "pass" in k.lower())]
    return sorted((str(value) for value in values if value), key=len, reverse=True)


def _without_password(url: str) -> str:
    """For text that is no URL at all, and may still hold one."""
    return re.sub(r":[^:/@]*@", ":***@", url)


def _quieten() -> None:
    import logging

    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
