"""The frozen-prefix cache on disk, shared by all workers: entries are checked, the least recently used go first."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from filelock import FileLock

from peftsearch.core.files.checksums import SUMS, is_sound
from peftsearch.core.files.disk import DiskFull, DiskRefuses, refusal
from peftsearch.data.cache import build_once, discard, say_if_damaged

STATES, ABOUT = "states.bin", "about.json"
SHARE_OF_DISK = 4
"""By default, all entries together may take 1 / SHARE_OF_DISK of the disk space that would be free without them."""


@dataclass(frozen=True)
class Cost:
    """What making an entry took the worker that made it: seconds by its device's clock and by the wall clock."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0
    wall_seconds: float = 0.0


@dataclass(frozen=True)
class Entry:
    """An entry of the store.

    Attributes:
        states: the file, open for reading and without a buffer.
        made: whether the call that returned this entry has made it.
    """

    states: FileIO
    cost: Cost
    made: bool


class PrefixStore:
    """A folder with one entry for each split, backbone, prefix, number format and device.

    Args:
        limit: bytes that all entries together may take; None for a quarter of the free disk space.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit

    def get(self, key: str, size: int, make: Callable[[FileIO], Cost]) -> Entry | None:
        """The entry `key`, made first if it is missing or damaged.

        Args:
            size: bytes of the entry's states.
            make: writes the states to a file. Other processes that want the entry wait meanwhile.

        Returns:
            None if the entry is too large for the store, or the store cannot be written: a trial goes without it then.
        """
        try:
            return self._get(self.folder / key, size, make)
        except (OSError, DiskFull, DiskRefuses) as error:
            told = refusal(error, self.folder)
            if told is None:
                raise
            print(f"without the frozen-prefix cache: {told}", file=sys.stderr)
            return None

    def _get(self, folder: Path, size: int, make: Callable[[FileIO], Cost]) -> Entry | None:
        with self._lock():
            if not is_sound(folder):
                say_if_damaged(folder)
                discard(folder)
                if not self._make_room(size):
                    return None
        made: list[Cost] = []

        def build(target: Path) -> None:
            with FileIO(target / STATES, "w") as file:
                made.append(make(file))
            (target / ABOUT).write_text(json.dumps(asdict(made[0])), encoding="utf-8")

        build_once(folder, build)
        with self._lock():
            if not is_sound(folder):  # a worker with a smaller limit has made room already
                return None
            os.utime(folder / SUMS)
            return Entry(FileIO(folder / STATES), _cost(folder), bool(made))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used entries until `size` fits; False, and nothing removed, if it never does."""
        sizes = {folder: _bytes_of(folder) for folder in self.folder.glob("[!.]*")}
        limit = self.limit
        if limit is None:
            limit = (shutil.disk_usage(self.folder).free + sum(sizes.values())) // SHARE_OF_DISK
        if size > limit:
            return False
        oldest = sorted(sizes, key=_last_used)
        while sum(sizes.values()) + size > limit:
            sizes.pop(oldest[0])
            discard(oldest.pop(0))
        return True


def _cost(folder: Path) -> Cost:
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Cost(**about)


def _bytes_of(folder: Path) -> int:
    states = folder / STATES
    return states.stat().st_size if states.is_file() else 0


def _last_used(folder: Path) -> float:
    """When the entry was last used, as a unix time; a damaged one, and one of an earlier version, goes first."""
    try:
        return (folder / SUMS).stat().st_mtime
    except OSError:
        return 0.0
