"""Folders that are built once, and built again where they are damaged."""

from __future__ import annotations

import errno
import fcntl
import random
import re
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from io import FileIO
from pathlib import Path

import pytest

from peftsearch.core.files.disk import DiskFull, DiskRefuses
from peftsearch.data import cache
from peftsearch.data.cache import build_once, digest, kept_once
from peftsearch.data.room import discard
from peftsearch.data.tokens import tokenize
from tests.helpers.damage import DAMAGES, files_of
from tests.helpers.files import json_lines, prepare, rows
from tests.helpers.tiny import tiny_tokenizer

VOCABULARY = ("cat", "dog", "sun", "number", *map(str, range(100)))


def build(folder: Path) -> None:
    (folder / "x").write_text("done")
    (folder / "deep").mkdir()
    (folder / "deep" / "y").write_bytes(bytes(range(256)) * 20)


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    built = []

    def counted(folder: Path) -> None:
        built.append(folder)
        build(folder)

    for _ in range(2):
        assert (build_once(tmp_path / "made", counted) / "x").read_text() == "done"
    assert len(built) == 1
    assert built[0] != tmp_path / "made", "nobody may see it half done"


def test_what_fails_or_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        build_once(tmp_path / "made", broken)
    assert not (tmp_path / "made").exists()
    (tmp_path / ".made.partial").mkdir()
    (tmp_path / ".made.partial" / "left by a killed process").touch()
    assert files_of(build_once(tmp_path / "made", build)) == ["checksums.json", "deep/y", "x"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_built_again_and_one_line_says_so(
    tmp_path: Path, damage: str, seed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = build_once(tmp_path / "made", build)
    DAMAGES[damage](folder, random.Random(seed))
    build_once(folder, build)
    assert (folder / "deep" / "y").read_bytes() == bytes(range(256)) * 20
    assert (folder / "x").read_text() == "done"
    said = capfd.readouterr().err
    assert re.fullmatch(
        rf"{folder} (is damaged \((x|deep/y|checksums.json)\)|was prepared by another version of peftsearch); "
        r"it is made again\n",
        said,
    )
    build_once(folder, lambda _: pytest.fail("it is whole"))


def test_a_folder_of_another_version_is_no_alarm(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = build_once(tmp_path / "made", build)
    (folder / "checksums.json").unlink()
    build_once(folder, build)
    assert capfd.readouterr().err == f"{folder} was prepared by another version of peftsearch; it is made again\n"
    (folder / "x").write_text("dona")
    build_once(folder, build)
    assert capfd.readouterr().err == f"{folder} is damaged (x); it is made again\n"


def test_a_damaged_folder_that_cannot_be_built_again_stays(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "made", build)
    (folder / "x").write_text("dona")

    def offline(target: Path) -> None:
        raise ConnectionError("the hub cannot be reached")

    with pytest.raises(ConnectionError):
        build_once(folder, offline)
    assert (folder / "x").exists()


def test_of_several_workers_one_builds_a_damaged_folder_again(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "made", build)
    (folder / "deep" / "y").write_bytes(b"cut")
    code = f"""
        import os, time
        from pathlib import Path
        from peftsearch.data.cache import build_once

        def build(target):
            Path({str(tmp_path)!r}, f"built-{{os.getpid()}}").touch()
            time.sleep(0.5)
            (target / "x").write_text("again")

        assert (build_once(Path({str(folder)!r}), build) / "x").read_text() == "again"
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    three = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[1] for process in three]
    assert [process.returncode for process in three] == [0, 0, 0]
    assert len(list(tmp_path.glob("built-*"))) == 1
    assert sorted(said)[:2] == ["", ""]
    assert "it is made again" in sorted(said)[2]


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskFull), (errno.EDQUOT, DiskFull), (errno.EROFS, DiskRefuses)]
)
def test_what_the_disk_refuses_is_told_with_the_folder(tmp_path: Path, number: int, expected: type[Exception]) -> None:
    def refused(target: Path) -> None:
        raise OSError(number, "refused")

    with pytest.raises(expected, match=str(tmp_path)):
        build_once(tmp_path / "made", refused)
    assert files_of(tmp_path) == [".made.lock"]


PREPARED: dict[str, Callable[[Path], object]] = {
    "data": lambda root: prepare(root, "a.jsonl").splits["train"]["text"][:],
    "tokens": lambda root: tokenize(
        prepare(root, "a.jsonl"), "train", tiny_tokenizer("bert", VOCABULARY), 16, root / "tokens"
    )["input_ids"][:],
}
"""What a trial reads of a cache, by the cache's folder in a test."""


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("cache", PREPARED)
def test_damaged_data_and_tokens_are_read_as_they_were(tmp_path: Path, cache: str, damage: str) -> None:
    json_lines(tmp_path / "a.jsonl", rows(60))
    before = PREPARED[cache](tmp_path)
    kind = "tokens" if cache == "tokens" else "cache"
    folder = next(path for path in (tmp_path / kind).iterdir() if path.is_dir())
    DAMAGES[damage](folder, random.Random(cache + damage))
    assert PREPARED[cache](tmp_path) == before


def test_a_digest_depends_on_every_part_but_not_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}, 3) == digest({"b": 2, "a": 1}, 3) != digest({"a": 1, "b": 2}, 4)


@pytest.mark.parametrize("before", ["nothing", "a damaged folder"])
def test_where_locks_do_nothing_it_is_made_twice_and_never_taken_half_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    if before != "nothing":
        (build_once(tmp_path / "made", build) / "x").write_text("dona")
    monkeypatch.setattr(cache, "locked", lambda *_: nullcontext())
    both_build, first_is_done = threading.Barrier(2), threading.Event()
    targets: list[Path] = []

    def one_after_the_other(target: Path) -> None:
        targets.append(target)
        both_build.wait(20)
        if target == targets[0]:  # it has half of the files while another process finishes
            assert first_is_done.wait(20)
        build(target)

    def make() -> list[str]:
        folder = build_once(tmp_path / "made", one_after_the_other)
        found = [(folder / name).read_bytes() for name in ("x", "deep/y")]
        first_is_done.set()
        return [*files_of(folder), *map(str, found)]

    with ThreadPoolExecutor(2) as pool:
        first, second = (each.result() for each in [pool.submit(make), pool.submit(make)])
    assert len(targets) == 2
    assert first == second == ["checksums.json", "deep/y", "x", str(b"done"), str(bytes(range(256)) * 20)]
    assert {path.name for path in tmp_path.iterdir()} - {".made.lock"} == {"made"}


def test_a_file_system_that_refuses_locks_is_used_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    assert (kept_once(tmp_path / "made", build) / "x").read_text() == "done"
    kept_once(tmp_path / "made", lambda _: pytest.fail("it is there"))


def test_what_is_made_can_be_read_by_its_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTSEARCH_CACHE", str(tmp_path / "cache"))
    folder = build_once(tmp_path / "cache" / "data" / "made", build)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "cache").rglob("*")}
    assert modes == {0o700, 0o600}
    assert len(files_of(folder)) == 3


def test_an_entry_that_goes_before_it_is_opened_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, open_it = [], cache.held

    def thwarted(file: Path) -> FileIO | None:
        if len(made) == 1:
            discard(file.parent)
        return open_it(file)

    def counted(target: Path) -> None:
        made.append(target)
        build(target)

    monkeypatch.setattr(cache, "held", thwarted)
    assert (kept_once(tmp_path / "made", counted) / "x").read_text() == "done"
    assert len(made) == 2
