"""Locks, and marks of use: of this process and of others, and where a file system has none."""

from __future__ import annotations

import errno
import fcntl
import subprocess
import sys
from pathlib import Path

import pytest

from peftsearch.core.files.locks import NO_LOCKS, alone_with, held, locked, locked_if_free


def is_free(file: Path) -> bool:
    with alone_with(file) as alone:
        return alone


def test_what_another_process_uses_is_not_free_until_it_ends(tmp_path: Path) -> None:
    (file := tmp_path / "a").touch()
    code = f"""if True:
        from pathlib import Path
        from peftsearch.core.files.locks import held
        file = held(Path({str(file)!r}))
        print("held", flush=True)
        input()
    """
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not is_free(file)
        other.kill()
    assert is_free(file)


def test_what_this_process_uses_is_free_once_it_is_closed(tmp_path: Path) -> None:
    (file := tmp_path / "a").touch()
    first, second = held(file), held(file)
    assert first is not None
    assert second is not None
    first.close()
    assert not is_free(file)
    second.close()
    assert is_free(file)


def test_what_is_gone_is_used_by_nobody(tmp_path: Path) -> None:
    assert held(tmp_path / "a") is None
    assert is_free(tmp_path / "a")


def test_what_is_deleted_while_it_is_opened_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (file := tmp_path / "a").touch()
    monkeypatch.setattr(fcntl, "flock", lambda *_: file.unlink())
    assert held(file) is None


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("number", sorted(NO_LOCKS))
def test_without_locks_nobody_waits_and_all_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, "no locks here")

    (file := tmp_path / "a").touch()
    monkeypatch.setattr(fcntl, "flock", refused)
    with held(file) or pytest.fail("it is there"), locked(tmp_path / ".lock"):
        assert is_free(file)


def test_a_lock_that_the_disk_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(fcntl, "flock", broken)
    with pytest.raises(OSError, match="broken"), locked(tmp_path / ".lock"):
        pytest.fail("it goes on without the lock")


def test_a_lock_that_another_process_has_is_not_free(tmp_path: Path) -> None:
    with locked_if_free(tmp_path / "lock") as mine:
        with locked_if_free(tmp_path / "lock") as other:
            assert (mine, other) == (True, False)
        with locked_if_free(tmp_path / "lock", seconds=0.1) as other:
            assert not other
    with locked_if_free(tmp_path / "lock") as mine:
        assert mine


@pytest.mark.filterwarnings("ignore:flock not supported")
@pytest.mark.parametrize("number", sorted(NO_LOCKS))
def test_where_there_are_no_locks_each_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, "no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with locked_if_free(tmp_path / "lock") as mine:
        assert mine


def test_where_no_lock_can_be_made_each_is_free(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for file in (tmp_path / "file" / "lock", tmp_path / "nowhere" / "lock", tmp_path):
        with locked_if_free(file) as mine:
            assert mine
