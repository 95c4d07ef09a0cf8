"""What goes when room is needed, and what stays."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from peftsearch.core.files.checksums import SUMS, seal
from peftsearch.core.files.locks import held
from peftsearch.data import cache
from peftsearch.data.cache import kept_once
from peftsearch.data.room import LEFT_SECONDS, make_room, sweep


def entry(folder: Path, name: str, used: float) -> Path:
    (made := folder / name).mkdir()
    (made / "x").write_bytes(b"0123456789")
    seal(made)
    os.utime(made / SUMS, (used, used))
    return made


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_least_recently_used_goes_first_and_none_that_is_in_use(tmp_path: Path) -> None:
    sizes = {entry(tmp_path, name, age): 10 for age, name in enumerate("abcd")}
    with held(tmp_path / "b" / SUMS) or pytest.fail("it is there"):
        assert make_room(sizes, 10, 30)
        assert names(tmp_path) == {"b", "d"}
        assert not make_room({tmp_path / name: 10 for name in "bd"}, 10, 10)
        assert names(tmp_path) == {"b"}


def test_what_a_killed_process_left_goes_after_a_day(tmp_path: Path) -> None:
    for name in (".a.1.partial", ".a.2.gone", ".a.3.partial", ".a.4.gone", "here"):
        (tmp_path / name).mkdir()
    for name in (".here.lock", ".gone.lock", ".new.lock", ".lock"):
        (tmp_path / name).touch()
    old = time.time() - LEFT_SECONDS - 1
    for name in (".a.1.partial", ".a.2.gone", "here", ".here.lock", ".gone.lock", ".lock"):
        os.utime(tmp_path / name, (old, old))
    sweep(tmp_path)
    assert names(tmp_path) == {".a.3.partial", ".a.4.gone", "here", ".here.lock", ".new.lock", ".lock"}


def test_a_folder_of_entries_keeps_to_its_share_of_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(target: Path) -> None:
        (target / "x").write_bytes(b"0" * 1000)

    for age, name in enumerate("abc"):
        kept_once(tmp_path / name, build)
        os.utime(tmp_path / name / SUMS, (age, age))
    cache._held.popitem()[1].close()  # c: the others are in use
    usage = type("Usage", (), {"free": 0})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    kept_once(tmp_path / "d", build)
    assert {name for name in names(tmp_path) if "." not in name} == {"a", "b", "d"}
    assert kept_once(tmp_path / "c", build) == tmp_path / "c"
    for name in "abcd":
        cache._held.pop(tmp_path / name).close()
    monkeypatch.setattr(usage, "free", cache.SHARE_OF_DISK * 2500)
    kept_once(tmp_path / "e", build)
    assert {name for name in names(tmp_path) if "." not in name} == {"c", "e"}
