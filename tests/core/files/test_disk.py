"""A full disk is recognised in whatever exception a library makes of it, and told in one line."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from peftsearch.core.files.disk import DiskFull, DiskRefuses, check_writable, full_disk, refusal, writing_to


def os_error() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/somewhere/file")


def quota() -> None:
    raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def as_the_cause() -> None:
    try:
        os_error()
    except OSError as error:
        raise RuntimeError("could not write the data set") from error


def while_it_was_handled() -> None:
    try:
        as_the_cause()
    except RuntimeError:
        raise ValueError("cannot clean up")  # noqa: B904


def only_in_words() -> None:
    raise RuntimeError("I/O error: No space left on device (os error 28)")


def quota_in_words() -> None:
    raise RuntimeError("I/O error: Disk quota exceeded (os error 122)")


def sqlite() -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    "failing", [os_error, quota, as_the_cause, while_it_was_handled, only_in_words, quota_in_words, sqlite]
)
def test_a_full_disk_is_recognised(failing: Callable[[], None]) -> None:
    with pytest.raises(Exception) as caught:
        failing()
    assert isinstance(full_disk(caught.value), DiskFull)


@pytest.mark.parametrize(
    "error", [ValueError("no"), OSError(errno.ENOENT, "gone"), RuntimeError("the space left"), KeyError(28)]
)
def test_other_errors_are_not_a_full_disk(error: Exception) -> None:
    assert full_disk(error) is None
    assert refusal(error) is None


def test_a_circle_of_causes_ends() -> None:
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    assert full_disk(one) is None


def test_the_line_names_the_folder_and_what_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1_234_567})())
    with pytest.raises(DiskFull) as caught, writing_to(tmp_path / "not" / "there"):
        only_in_words()
    assert str(caught.value) == (
        f"the disk of {tmp_path}/not/there is full, or its quota is used up (1.2 MB free): make room"
    )


def test_the_file_that_an_error_names_is_told_where_no_folder_is_known() -> None:
    assert str(refusal(OSError(errno.EROFS, "Read-only file system", b"/a/b"))) == (
        "/a/b: Read-only file system; use another folder"
    )


def test_the_innermost_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="inner"), writing_to(tmp_path / "outer"), writing_to(tmp_path / "inner"):
        quota()
    with pytest.raises(DiskFull, match="of /somewhere is full"), writing_to(tmp_path):
        os_error()


@pytest.mark.parametrize("length", [256, 300, 5000])
def test_a_name_that_is_too_long(tmp_path: Path, length: int) -> None:
    with pytest.raises(DiskRefuses) as caught:
        check_writable(tmp_path / ("n" * length))
    assert str(caught.value).endswith("...: File name too long; choose a shorter name")
    assert len(str(caught.value)) < 200


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(DiskRefuses) as caught:
        check_writable(tmp_path / "runs" / "toy")
    assert str(caught.value) == (f"{tmp_path}/runs/toy: Not a directory; a part of this path is a file; choose another")

    with pytest.raises(DiskRefuses, match="File exists; a file is in the way; delete it, or choose another name"):
        check_writable(tmp_path / "runs")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="only Linux has a folder in which nobody can make one")
@pytest.mark.parametrize("name", ["x", "x/y", "self/x y", "Übung/ä/ö"])
def test_a_folder_that_nobody_can_make(name: str) -> None:
    with pytest.raises(DiskRefuses) as caught:
        check_writable(Path("/proc", name))
    assert str(caught.value).endswith(": No such file or directory; this folder cannot be made; choose another")
    assert str(caught.value).startswith(f"/proc/{name.split('/')[0]}")


def test_a_file_that_is_not_there_beside_files_that_are_written_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), writing_to(tmp_path):
        (tmp_path / "none").read_text()


def test_links_that_lead_to_each_other(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(DiskRefuses) as caught:
        check_writable(tmp_path / "a" / "x")
    assert str(caught.value).endswith("links lead to each other; choose another path")


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    check_writable(tmp_path / "runs" / "toy")
    assert list((tmp_path / "runs" / "toy").iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a hundred kilobytes, where this user may mount one."""
    (disk := tmp_path / "disk").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a disk takes root")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def arrow(disk: Path) -> None:
    from datasets import Dataset

    Dataset.from_dict({"text": ["x" * 1000] * 1000}).save_to_disk(disk / "data")


def tensors(disk: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(10**6)}, disk / "w.safetensors")


def torch_tensors(disk: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(10**6)}, disk / "w.safetensors")


def database(disk: Path) -> None:
    with sqlite3.connect(disk / "a.db") as connection:
        connection.execute("create table a (b)")
        connection.execute("insert into a values (?)", ("x" * 10**6,))


@pytest.mark.parametrize("write", [arrow, tensors, torch_tensors, database])
def test_what_libraries_raise_on_a_disk_that_is_full(small_disk: Path, write: Callable[[Path], None]) -> None:
    with pytest.raises(DiskFull, match="MB free"), writing_to(small_disk):
        write(small_disk)


def test_a_disk_that_is_read_only(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(DiskRefuses) as caught:
        check_writable(small_disk / "runs")
    assert str(caught.value) == f"{small_disk}/runs: Read-only file system; use another folder"
