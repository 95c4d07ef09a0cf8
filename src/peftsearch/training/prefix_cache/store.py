"""The frozen-prefix cache on disk, shared by all workers: entries are checked, the least recently used go first."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from peftsearch.core.files.cache_folder import make_inside, mode_below
from peftsearch.core.files.checksums import is_sound
from peftsearch.core.files.disk import DiskFull, DiskRefuses, refusal
from peftsearch.core.files.locks import held, locked
from peftsearch.data.cache import build_once, say_if_damaged
from peftsearch.data.room import discard, make_room, sweep, touch

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
        states: the file, open for reading and without a buffer. The entry is in use until it is closed.
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
            states = held(folder / STATES) if is_sound(folder) else None
            if states is None:  # a worker with a smaller limit has made room already
                return None
            touch(folder)
            return Entry(states, _cost(folder), bool(made))

    @contextmanager
    def _lock(self) -> Iterator[None]:
        make_inside(self.folder)
        with locked(self.folder / ".lock", mode_below(self.folder) & 0o666):
            yield

    def _make_room(self, size: int) -> bool:
        """Remove the least recently used entries until `size` fits; False, and nothing removed, if it never does.

        It does not fit either while other trials use what would have to go.
        """
        sweep(self.folder)
        sizes = {folder: _bytes_of(folder) for folder in self.folder.glob("[!.]*")}
        limit = self.limit
        if limit is None:
            limit = (shutil.disk_usage(self.folder).free + sum(sizes.values())) // SHARE_OF_DISK
        return size <= limit and make_room(sizes, size, limit, in_use=STATES)


def _cost(folder: Path) -> Cost:
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return Cost(**about)


def _bytes_of(folder: Path) -> int:
    states = folder / STATES
    return states.stat().st_size if states.is_file() else 0
