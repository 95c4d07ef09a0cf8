"""How the database that holds studies is opened: safely where it is SQLite, and with errors that a user can mend."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError
from peftsearch.core.objectives import directions_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from optuna.study import Study
    from sqlalchemy.engine import URL, Engine

BUSY_SECONDS = 60.0
"""How long a connection waits for SQLite's write lock."""

OPENING_ATTEMPTS = 5
"""Of two processes that create the tables at the same moment, one finds half of them there and tries again."""

UNNAMED_DRIVER = ("postgres", "postgresql")
"""How hosting services write their URLs. SQLAlchemy refuses the first, and which driver the second means depends on its
version; here both mean psycopg, which the extra `postgres` installs."""

EXTRAS = {"postgresql": "pip install 'peftsearch[postgres]' and write postgresql+psycopg://…"}


def open_storage(url: str) -> BaseStorage:
    """The Optuna storage at `url`, whose tables are created if they are not there.

    SQLite is opened with write-ahead logging (WAL), `BEGIN IMMEDIATE` and a busy timeout: as Optuna opens it, two
    workers can take the same waiting trial. Every other database is opened as Optuna does.

    Args:
        url: a SQLAlchemy URL, like `sqlite:///runs/quickstart.db` or `postgresql+psycopg://user:word@host/name`.

    Raises:
        UserError: the storage cannot be opened. A password in the URL is never shown.
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
    if parsed.drivername in UNNAMED_DRIVER:
        parsed = parsed.set(drivername="postgresql+psycopg")
        url = parsed.render_as_string(hide_password=False)
    if _is_file(parsed):
        _make_folder(Path(str(parsed.database)))
    return get_storage(_open(parsed, url))


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
    # RDBStorage creates its engine and uses it in one step. The connection that created the tables is thrown away here,
    # so that every later one passes through the two events.
    storage.scoped_session.remove()
    _make_safe(storage.engine)
    storage.engine.dispose()
    return storage


def _make_safe(engine: Engine) -> None:
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # otherwise the driver begins transactions, and only before the first write
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # with WAL, a power cut can undo the last commit and no more

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # Optuna reads a trial's state and then writes it: that is one step only if the lock is taken before the read.
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
    """The URL without its password and its parameters, where some drivers take passwords too."""
    return parsed.set(query={}).render_as_string(hide_password=True)


def _secrets(parsed: URL) -> list[str]:
    """The passwords in the URL, the longest first, so that removing one leaves no part of another."""
    values = [parsed.password, *(v for k, v in parsed.query.items() if "pass" in k.lower())]
    return sorted((str(value) for value in values if value), key=len, reverse=True)


def _without_password(url: str) -> str:
    """`url` without what looks like a password, for text that is not a URL but may hold one all the same."""
    return re.sub(r":[^:/@]*@", ":***@", url)


def _quieten() -> None:
    import logging

    import optuna

    optuna.logging.set_verbosity(logging.WARNING)
