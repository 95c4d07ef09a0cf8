"""States of frozen prefixes on disk, shared by all workers: made once, checked, the least recently used go first."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from filelock import FileLock
from xxhash import xxh3_128

from peftsearch.data.cache import build_once

STATES, ABOUT = "states.bin", "about.json"
SHARE_OF_DISK = 4
"""By default all entries together may take one part in so many of the disk space that is free without them."""

_checked: set[tuple[int, int, int, int]] = set()
"""Files that this process has read whole and found sound: device, inode, size, time of the last change."""


@dataclass(frozen=True)
class Cost:
    """What making an entry took, on whichever worker made it."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0


@dataclass(frozen=True)
class Entry:
    """`states` is open for reading, unbuffered; `made` whether this call has made it."""

    states: FileIO
    cost: Cost
    made: bool


class FeatureStore:
    """A folder of entries.

    Args:
        limit: bytes of all entries together; None for a quarter of the free disk space.
    """

    def __init__(self, folder: Path, limit: int | None = None) -> None:
        self.folder = folder
        self.limit = limit

    def get(self, key: str, size: int, make: Callable[[FileIO], Cost]) -> Entry | None:
        """The entry `key`; None if it is too large for the store.

        Args:
            size: of its states in bytes.
            make: writes them, if they are not there or damaged. Other processes wait for it.
        """
        folder = self.folder / key
        with self._lock():
            if not _sound(folder):
                _remove(folder)
                if not self._make_room(size):
                    return None
        made: list[Cost] = []

        def build(target: Path) -> None:
            with FileIO(target / STATES, "w") as file:
                made.append(make(file))
            about = {**asdict(made[0]), "checksum": _checksum(target / STATES)}
            (target / ABOUT).write_text(json.dumps(about))

        build_once(folder, build)
        with self._lock():
            if not _sound(folder):  # a worker with a smaller limit has made room already
                return None
            os.utime(folder / ABOUT)
            return Entry(FileIO(folder / STATES), _cost(folder), bool(made))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used entries until `size` fits; False, and nothing removed, if it never does."""
        sizes = {about.parent: (about.parent / STATES).stat().st_size for about in self.folder.glob(f"[!.]*/{ABOUT}")}
        limit = self.limit
        if limit is None:
            limit = (shutil.disk_usage(self.folder).free + sum(sizes.values())) // SHARE_OF_DISK
        if size > limit:
            return False
        oldest = sorted(sizes, key=lambda folder: (folder / ABOUT).stat().st_mtime)
        while sum(sizes.values()) + size > limit:
            sizes.pop(oldest[0])
            _remove(oldest.pop(0))
        return True


def _cost(folder: Path) -> Cost:
    about = json.loads((folder / ABOUT).read_text())
    return Cost(about["seconds"], about["peak_memory_mb"])


def _sound(folder: Path) -> bool:
    """Whether the entry is there and is as it was written; reads it whole once per process."""
    try:
        about = json.loads((folder / ABOUT).read_text())
        stat = (folder / STATES).stat()
        file = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
        if file not in _checked:
            if _checksum(folder / STATES) != about["checksum"]:
                return False
            _checked.add(file)
        return True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _checksum(path: Path) -> str:
    found = xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def _remove(folder: Path) -> None:
    """First out of sight, so that the folder is there whole or not at all. Files that are open stay readable."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
