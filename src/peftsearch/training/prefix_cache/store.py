"""The frozen-prefix cache on disk, shared by all workers: entries are checked, the least recently used go first."""

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
"""By default, all entries together may take 1 / SHARE_OF_DISK of the disk space that would be free without them."""

_checked: set[tuple[int, int, int, int]] = set()
"""Files whose checksum this process has verified: device, inode, size, time of the last change."""


@dataclass(frozen=True)
class Cost:
    """What making an entry took the worker that made it."""

    seconds: float = 0.0
    peak_memory_mb: float = 0.0


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
        """The entry `key`, made first if it is missing or damaged; None if it is too large for the store.

        Args:
            size: bytes of the entry's states.
            make: writes the states to a file. Other processes that want the entry wait meanwhile.
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
            (target / ABOUT).write_text(json.dumps(about), encoding="utf-8")

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
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Cost(about["seconds"], about["peak_memory_mb"])


def _sound(folder: Path) -> bool:
    """Whether the entry is there and has its checksum, which each process verifies once."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
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
    """Delete an entry. It is renamed first, so that it is whole or absent at any time. Open files stay readable."""
    if folder.exists():
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
