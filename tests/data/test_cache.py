"""Folders that are built once, and built again where they are damaged."""

from __future__ import annotations

import errno
import random
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from peftsearch.core.files.disk import DiskFull, DiskRefuses
from peftsearch.data.cache import build_once, digest
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
