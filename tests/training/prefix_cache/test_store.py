"""Entries are made once, checked, rebuilt when damaged, and the least recently used go first."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
import textwrap
from io import FileIO
from pathlib import Path

import pytest

from peftsearch.core.errors import Interrupted
from peftsearch.core.files import checksums
from peftsearch.core.files.checksums import SUMS
from peftsearch.data.room import discard
from peftsearch.training.prefix_cache import store as feature_store
from peftsearch.training.prefix_cache.store import STATES, Cost, PrefixStore
from tests.helpers.damage import DAMAGES


class Maker:
    """Writes `content` and counts how often."""

    def __init__(self, content: bytes = b"0123456789") -> None:
        self.content = content
        self.calls = 0

    def __call__(self, file: FileIO) -> Cost:
        self.calls += 1
        file.write(self.content)
        return Cost(seconds=1.5, peak_memory_mb=7.0)


def read(store: PrefixStore, key: str, make: Maker) -> bytes | None:
    entry = store.get(key, len(make.content), make)
    if entry is None:
        return None
    with entry.states as file:
        return file.read()


def entries(folder: Path) -> set[str]:
    return {sums.parent.name for sums in folder.glob(f"[!.]*/{SUMS}")}


def test_made_once_and_its_cost_kept(tmp_path: Path) -> None:
    make = Maker()
    first = PrefixStore(tmp_path).get("a", 10, make)
    second = PrefixStore(tmp_path).get("a", 10, make)
    assert first is not None
    assert second is not None
    assert (first.made, second.made, make.calls) == (True, False, 1)
    assert first.cost == second.cost == Cost(1.5, 7.0)
    for entry in (first, second):
        with entry.states as file:
            assert file.read() == make.content


@pytest.mark.parametrize("damage", ["cut", "changed", "no description", "half a description", "no states"])
def test_a_damaged_entry_is_made_again(tmp_path: Path, damage: str) -> None:
    make, store = Maker(), PrefixStore(tmp_path)
    assert read(store, "a", make) == make.content
    states, about = tmp_path / "a" / STATES, tmp_path / "a" / "about.json"
    if damage == "cut":
        os.truncate(states, 4)
    elif damage == "changed":
        states.write_bytes(b"0123x56789")
    elif damage == "no states":
        states.unlink()
    elif damage == "no description":
        about.unlink()
    else:
        about.write_text(about.read_text()[:-9])
    assert read(store, "a", make) == make.content
    assert make.calls == 2


def test_an_entry_is_read_whole_once_per_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, make = PrefixStore(tmp_path), Maker()
    read(store, "a", make)
    monkeypatch.setattr(checksums, "checksum", lambda path: pytest.fail("checked again"))
    assert read(store, "a", make) == make.content


def test_the_least_recently_used_goes_first(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, limit=30)
    for age, key in enumerate("abc"):
        read(store, key, Maker())
        os.utime(tmp_path / key / SUMS, (age, age))
    read(store, "a", Maker())
    read(store, "d", Maker())
    assert entries(tmp_path) == {"a", "c", "d"}


def test_what_never_fits_is_not_made_and_costs_no_other_its_place(tmp_path: Path) -> None:
    store, large = PrefixStore(tmp_path, limit=15), Maker(b"0" * 16)
    read(store, "a", Maker())
    assert read(store, "b", large) is None
    assert large.calls == 0
    assert entries(tmp_path) == {"a"}


def test_an_entry_in_use_does_not_go_and_another_trial_does_without(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, limit=20)
    entry = store.get("a", 10, Maker())
    assert entry is not None
    read(store, "b", Maker())
    os.utime(tmp_path / "a" / SUMS, (0, 0))
    assert read(store, "c", Maker()) == b"0123456789"
    assert entries(tmp_path) == {"a", "c"}
    assert read(store, "d", Maker(b"0" * 11)) is None
    with entry.states as file:
        assert file.read() == b"0123456789"
    assert read(store, "d", Maker(b"0" * 11)) is not None
    assert entries(tmp_path) == {"d"}


def test_an_entry_that_is_removed_stays_readable_for_whoever_has_it_open(tmp_path: Path) -> None:
    entry = PrefixStore(tmp_path).get("a", 10, Maker())
    discard(tmp_path / "a")
    assert entries(tmp_path) == set()
    assert entry is not None
    with entry.states as file:
        assert file.read() == b"0123456789"


def test_by_default_a_quarter_of_the_free_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 79})
    monkeypatch.setattr(feature_store.shutil, "disk_usage", lambda _: usage)
    assert read(PrefixStore(tmp_path), "a", Maker(b"0" * 20)) is None
    assert read(PrefixStore(tmp_path), "b", Maker(b"0" * 19)) is not None


def test_a_pass_that_is_stopped_leaves_nothing(tmp_path: Path) -> None:
    def stopped(file: FileIO) -> Cost:
        file.write(b"012")
        raise Interrupted("stopped")

    store = PrefixStore(tmp_path)
    with pytest.raises(Interrupted):
        store.get("a", 10, stopped)
    assert entries(tmp_path) == set()
    assert read(store, "a", Maker()) == b"0123456789"


def test_two_processes_at_once_make_one(tmp_path: Path) -> None:
    code = f"""
        import os, time
        from pathlib import Path
        from peftsearch.training.prefix_cache.store import Cost, PrefixStore

        def make(file):
            Path({str(tmp_path)!r}, f"made-{{os.getpid()}}").touch()
            time.sleep(1)
            file.write(b"0123456789")
            return Cost(1.0)

        entry = PrefixStore(Path({str(tmp_path / "store")!r})).get("a", 10, make)
        assert entry.states.read() == b"0123456789"
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(timeout=60) for process in both] == [0, 0]
    assert len(list(tmp_path.glob("made-*"))) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_trial_goes_without_a_store_whose_disk_takes_nothing(
    tmp_path: Path, number: int, capfd: pytest.CaptureFixture[str]
) -> None:
    def full(file: FileIO) -> Cost:
        file.write(b"012")
        raise OSError(number, os.strerror(number))

    assert PrefixStore(tmp_path).get("a", 10, full) is None
    assert entries(tmp_path) == set()
    assert capfd.readouterr().err.startswith("without the frozen-prefix cache: ")


@pytest.mark.parametrize("damage", DAMAGES)
def test_room_is_made_beside_a_damaged_entry(tmp_path: Path, damage: str) -> None:
    store = PrefixStore(tmp_path, limit=25)
    read(store, "a", Maker())
    DAMAGES[damage](tmp_path / "a", random.Random(damage))
    for key in "bcd":
        assert read(store, key, Maker()) == b"0123456789"
