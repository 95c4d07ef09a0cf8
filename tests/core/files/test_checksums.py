from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from peftsearch.core.files import checksums
from peftsearch.core.files.checksums import SUMS, damaged_files, is_sound, seal
from tests.helpers.damage import DAMAGES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (made := tmp_path / "made").mkdir()
    (made / "größe.txt").write_text("Größe", encoding="utf-8")
    (made / "deep").mkdir()
    (made / "deep" / "tensors").write_bytes(bytes(range(256)))
    seal(made)
    return made


def test_what_was_sealed_is_sound_and_more_files_do_not_count(folder: Path) -> None:
    assert is_sound(folder)
    (folder / "more").touch()
    assert is_sound(folder)
    assert sorted(checksums.sealed_files(folder) or {}) == ["deep/tensors", "größe.txt"]


@pytest.mark.parametrize("trust_times", [True, False])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen(folder: Path, damage: str, trust_times: bool) -> None:
    DAMAGES[damage](folder, random.Random(damage))
    assert list(damaged_files(folder, trust_times=trust_times))


def test_a_damaged_file_is_named(folder: Path) -> None:
    (folder / "deep" / "tensors").write_bytes(b"cut")
    (folder / "größe.txt").unlink()
    assert list(damaged_files(folder)) == ["deep/tensors", "größe.txt"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"files": []}', '{"files": {"x": [1]}}', "[" * 100_000])
def test_checksums_that_cannot_be_read_are_damage(folder: Path, text: str) -> None:
    (folder / SUMS).write_text(text)
    assert list(damaged_files(folder)) == [SUMS]


def test_a_file_is_read_once_and_a_time_can_be_trusted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {name: (folder / name).stat().st_mtime_ns for name in ("größe.txt", "deep/tensors")}
    monkeypatch.setattr(checksums, "checksum", lambda _: pytest.fail("read"))
    assert not list(damaged_files(folder, trust_times=True))
    monkeypatch.undo()
    assert is_sound(folder)
    monkeypatch.setattr(checksums, "checksum", lambda _: pytest.fail("read twice"))
    assert is_sound(folder)
    monkeypatch.undo()
    # The size and the time stay as they were, as at a fault of the disk: only reading shows it.
    (folder / "größe.txt").write_text("Grüße", encoding="utf-8")
    os.utime(folder / "größe.txt", ns=(0, times["größe.txt"]))
    checksums._verified.clear()
    assert not list(damaged_files(folder, trust_times=True))
    assert not is_sound(folder)


def test_a_copy_is_sound_though_its_times_differ(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    assert not list(damaged_files(folder, trust_times=True))
