"""How a SQLite file is opened so that several processes can use it, and how its loss is noticed."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import StorageLost, UserError
from peftsearch.storage.connection.outages import StorageAway

if TYPE_CHECKING:
    from sqlalchemy.engine import URL, Engine

BUSY_SECONDS = 10.0
"""How long a connection waits for SQLite's write lock before it is an outage, which is waited for in turn."""

Identity = tuple[int, int]
"""Device and inode of a file."""


def database_file(url: URL) -> Path | None:
    """The file of a SQLite database; None for every other one, and for a `file:` address, which SQLite reads itself.

    Raises:
        UserError: the database would be in memory, or `url` names a folder.
    """
    if url.get_backend_name() != "sqlite":
        return None
    named = url.database or ""
    if named in ("", ":memory:") or "mode=memory" in named or ":memory:" in named or url.query.get("mode") == "memory":
        raise UserError(
            f"the storage {url} is in the memory of one process, and workers are processes of their own;"
            " name a file, like sqlite:///runs/NAME.db"
        )
    if named.startswith("file:"):
        return None
    file = Path(named).absolute()
    if file.is_dir():
        raise UserError(f"the storage {url} is a folder; name a file in it, like sqlite:///{Path(named) / 'NAME.db'}")
    return file


def existing(url: URL, file: Path) -> URL:
    """The URL of a database `file` that was made before; for the usual URL SQLite would make a new one.

    Raises:
        StorageLost: the file is gone.
    """
    _require(file)
    return url.set(database=file.as_uri(), query={**url.query, "mode": "rw", "uri": "true"})


def make_folder(file: Path) -> None:
    """Make the folder of a database file that may be new."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {file.parent} for the storage: {error.strerror}") from None


class LoggedConnection(sqlite3.Connection):
    """A connection that uses write-ahead logging.

    With the usual journal, each statement that creates a table waits for the disk several times: on a busy disk a new
    study takes seconds to begin, in which other processes wait that want to create it too.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA journal_mode=WAL")
        self.execute("PRAGMA synchronous=NORMAL")  # with WAL, a power cut can undo the last commit and no more


def make_safe(engine: Engine) -> None:
    """Let each transaction take the write lock before it reads."""
    from sqlalchemy import event

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # otherwise the driver begins transactions, and only before the first write

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        # Optuna reads a trial's state and then writes it: that is one step only if the lock is taken before the read.
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def check_usable(engine: Engine, *, write: bool) -> None:
    """Begin a transaction, and write in it if `write`: a file that only allows to be read fails now and not later."""
    with engine.begin() as connection:
        if write:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
            connection.exec_driver_sql(f"PRAGMA user_version = {version}")


def notice_loss(engine: Engine, file: Path) -> None:
    """From now on, let each transaction fail with `StorageLost` after `file` was deleted or replaced.

    SQLite goes on in a deleted file, which nobody will ever read, and makes a new one for the next connection unless
    it is told not to. A new one would be taken for a replacement by every other process that has it open.
    """
    from sqlalchemy import event

    watched = WatchedFile(file)
    for name in ("close", "close_detached"):
        event.listen(engine, name, watched.forget_log)

    @event.listens_for(engine, "do_connect")
    def _on_connect(_: Any, __: Any, arguments: list[str], options: dict[str, Any]) -> None:
        watched.check()
        arguments[0], options["uri"] = f"{file.as_uri()}?mode=rw", True

    event.listen(engine, "begin", lambda _: watched.check(log=True))


class WatchedFile:
    """A database file that must stay the same file.

    Its write-ahead log (`-wal`) stays the same too, as long as any connection to the database is open.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._log_file = file.with_name(f"{file.name}-wal")
        self._identity = _require(file)
        self._log: Identity | None = None

    def check(self, *, log: bool = False) -> None:
        """Look whether the file is still there.

        Args:
            log: look at the write-ahead log too, since a connection has it open.

        Raises:
            StorageLost: the file, or its log, is another one or is gone.
            StorageAway: the file system does not answer.
        """
        if _require(self._file) != self._identity:
            raise StorageLost(f"the database file {self._file} was replaced by another one while it was in use")
        if log:
            found = _identity(self._log_file)
            if self._log is not None and found != self._log:
                raise StorageLost(f"{self._log_file}, a part of the database, was deleted while it was in use")
            self._log = found

    def forget_log(self, *_: Any) -> None:
        """A connection was closed; if it was the last one, SQLite has deleted the log."""
        self._log = None


def _require(file: Path) -> Identity:
    found = _identity(file)
    if found is None:
        raise StorageLost(f"the database file {file} was deleted while it was in use")
    return found


def _identity(file: Path) -> Identity | None:
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageAway(f"{file}: {error.strerror}") from None
    return found.st_dev, found.st_ino
