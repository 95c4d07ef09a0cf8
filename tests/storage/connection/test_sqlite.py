from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from optuna.study import Study

from peftsearch.core.errors import StorageLost, UserError
from peftsearch.storage.connection import sqlite
from peftsearch.storage.connection.patience import patience_of
from peftsearch.storage.connection.sqlite import WatchedFile
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.optuna_access import storage_of
from tests.helpers.outages import FakeTime


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


@pytest.fixture
def study(file: Path) -> Study:
    return open_study(open_storage(f"sqlite:///{file}"), "x", ["macro_f1"])


def delete(file: Path) -> None:
    for part in file.parent.glob("x.db*"):
        part.unlink()


def delete_folder(file: Path) -> None:
    shutil.rmtree(file.parent)


def delete_log(file: Path) -> None:
    file.with_name("x.db-wal").unlink()


def move_away(file: Path) -> None:
    file.rename(file.with_name("y.db"))


def replace_by_empty(file: Path) -> None:
    file.with_name("new").touch()
    file.with_name("new").replace(file)


def replace_by_copy(file: Path) -> None:
    shutil.copy(file, file.with_name("new"))
    file.with_name("new").replace(file)


GONE = "the database file {file} was deleted while it was in use"
REPLACED = "the database file {file} was replaced by another one while it was in use"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (delete, GONE),
        (delete_folder, GONE),
        (move_away, GONE),
        (replace_by_empty, REPLACED),
        (replace_by_copy, REPLACED),
        (
            lambda file: Path(f"{file}-wal").unlink(),
            "{file}-wal, a part of the database, was deleted while it was in use",
        ),
    ],
    ids=["deleted", "folder-deleted", "moved", "replaced-by-empty", "replaced-by-copy", "log-deleted"],
)
@pytest.mark.parametrize("call", [lambda s: s.ask(), lambda s: s.get_trials(deepcopy=False), lambda s: s.user_attrs])
def test_a_file_that_is_not_the_same_is_noticed_by_the_next_call(
    study: Study, file: Path, fault: Callable[[Path], None], message: str, call: Callable[[Study], object]
) -> None:
    study.ask()
    fault(file)
    with pytest.raises(StorageLost) as lost:
        call(study)
    assert str(lost.value) == message.format(file=file)
    assert not (fault is delete and file.exists()), "nothing is made in its place"


def test_a_new_connection_does_not_make_a_new_file(study: Study, file: Path) -> None:
    delete(file)
    storage_of(study).wrapped.engine.dispose()  # type: ignore[attr-defined]
    with pytest.raises(StorageLost, match="was deleted"):
        study.ask()
    assert not file.exists()


@pytest.mark.parametrize(
    "way", [lambda file, study: study.ask(), lambda file, study: reopen(file)], ids=["next", "again"]
)
@pytest.mark.parametrize("name", ["toy.db", "to y#1.db", "tö%2520y{0}.db"])
def test_a_file_that_is_deleted_just_before_sqlite_opens_it_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: Callable[[Path, Study], object]
) -> None:
    """A new file would be taken for a replacement by every process that has the old one open."""
    file = tmp_path / unquote(name)
    study = open_study(open_storage(f"sqlite:///{tmp_path / name}"), "toy", ("macro_f1",))
    study.ask()
    storage_of(study).wrapped.engine.dispose()  # type: ignore[attr-defined]
    seen = sqlite._identity

    def deleted_after_it_was_seen(looked_at: Path) -> sqlite.Identity | None:
        found = seen(looked_at)
        if looked_at == file:
            file.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(sqlite, "_identity", deleted_after_it_was_seen)
    with pytest.raises(StorageLost) as lost:
        way(file, study)
    assert str(lost.value) == GONE.format(file=file)
    assert not file.exists()


def reopen(file: Path) -> object:
    return open_storage(f"sqlite:///{file.with_name(quote(file.name))}", again=True)


def test_a_log_that_sqlite_itself_deletes_with_the_last_connection_is_no_loss(study: Study, file: Path) -> None:
    for _ in range(3):
        study.ask()
        engine = storage_of(study).wrapped.engine  # type: ignore[attr-defined]
        engine.dispose()
        assert not Path(f"{file}-wal").exists()
    assert len(study.get_trials()) == 3


def test_a_checkpoint_and_other_connections_are_no_loss(study: Study, file: Path) -> None:
    study.ask()
    other = sqlite3.connect(file)
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.execute("SELECT count(*) FROM trials").fetchone()
    other.close()
    study.ask()
    assert len(study.get_trials()) == 2


def test_a_file_system_that_does_not_answer_is_an_outage(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.touch()
    watched = WatchedFile(file)

    def stale(self: Path) -> None:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(Path, "stat", stale)
    with pytest.raises(sqlite.StorageAway, match="Stale file handle"):
        watched.check()


def test_a_lock_of_another_connection_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peftsearch.storage.database.BUSY_SECONDS", 0.05)
    study = open_study(open_storage(f"sqlite:///{file}"), "x", ["macro_f1"])
    time, said = FakeTime(), list[str]()
    waiting = patience_of(storage_of(study))
    waiting.clock, waiting.pause, waiting.say = time.clock, time.pause, said.append
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    time.events.append((75.0, lambda: other.execute("COMMIT") and None))
    study.ask()
    assert len(study.get_trials()) == 1
    assert [line.split(";")[0] for line in said] == [
        f"the storage sqlite:///{file} does not answer (database is locked)",
        f"the storage answers again after {time.now:.0f} s",
    ]
    assert time.now >= 75


def test_a_lock_while_it_is_opened_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peftsearch.storage.database.BUSY_SECONDS", 0.05)
    open_storage(f"sqlite:///{file}")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StorageLost, match=r"has not answered for [12] s \(database is locked\)"):
        open_storage(f"sqlite:///{file}", patience=1)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite+pysqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:x?mode=memory&uri=true",
        "sqlite:///file:x?mode=memory&cache=shared&uri=true",
    ],
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(UserError) as error:
        open_storage(url)
    assert str(error.value).endswith(
        " is in the memory of one process, and workers are processes of their own;"
        " name a file, like sqlite:///runs/NAME.db"
    )
    assert str(error.value).count("\n") == 0


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        open_storage(f"sqlite:///{tmp_path}")
    assert str(error.value) == (
        f"the storage sqlite:///{tmp_path} is a folder; name a file in it, like sqlite:///{tmp_path}/NAME.db"
    )


def test_a_file_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(UserError) as error:
        open_storage(f"sqlite:///{tmp_path}/runs/x.db")
    assert str(error.value).startswith(f"cannot make the folder {tmp_path}/runs for the storage: ")


@pytest.mark.parametrize("what", ["file", "folder", "both"])
def test_what_may_not_be_written_is_said_when_it_is_opened(tmp_path: Path, what: str) -> None:
    """In a process without root's rights, which may write everywhere."""
    folder = tmp_path / "runs"
    url = f"sqlite:///{folder}/x.db"
    storage_of(open_study(open_storage(url), "x", ["macro_f1"])).wrapped.engine.dispose()  # type: ignore[attr-defined]
    for parent in (tmp_path, *tmp_path.parents):
        if parent.owner() == folder.owner() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    (folder / "x.db").chmod(0o444 if what != "folder" else 0o666)
    folder.chmod(0o555 if what != "file" else 0o777)
    code = (
        "import os, sys\n"
        "from peftsearch.core.errors import UserError\n"
        "from peftsearch.storage.database import open_storage\n"
        "open_storage(sys.argv[1] + '.another')\n"  # loads all modules, while they can be read
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try: open_storage(sys.argv[1], write=True)\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, env=dict(os.environ))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot open the storage {url} (")
    assert done.stdout.endswith("); check the URL and that it can be reached and written\n")
    assert done.stdout.count("\n") == 1
