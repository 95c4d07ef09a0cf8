"""Folders that one process makes and all read, also those of other users and machines that share the cache."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path

from peftsearch.core.files.cache_folder import give_mode, make_inside, mode_below
from peftsearch.core.files.checksums import SUMS, damaged_files, is_sound, seal
from peftsearch.core.files.disk import check_name, writing_to
from peftsearch.core.files.locks import held, locked
from peftsearch.data.room import bytes_of, discard, make_room, sweep, touch

SHARE_OF_DISK = 10
"""Together, the entries of one folder may take 1 / SHARE_OF_DISK of the disk space that would be free without them."""

MOST_HELD = 64
"""How many entries a process keeps marked as in use, those that it has opened last."""

TRIES = 5
"""How often something is tried that another process may thwart by doing the same in just this moment."""

_held: dict[Path, FileIO] = {}


def digest(*parts: object) -> str:
    """A hash of `parts`, which must be JSON data, in 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def kept_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """As `build_once`, for an entry of a folder that has a limit: the least recently used of those beside it go.

    None goes that a process has opened, so `folder` stays where it is as long as this process needs it.

    Raises:
        DiskRefuses: the folder cannot be written.
        DiskFull: its disk is full.
    """
    check_name(folder.absolute())
    made: list[Path] = []

    def noting(target: Path) -> None:
        made.append(target)
        build(target)

    for _ in range(TRIES):
        if _hold(build_once(folder, noting)):
            break  # otherwise another process has just made room
    if made:
        _tidy(folder.parent)
    return folder


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, filled by `build` if it is not there yet or damaged.

    The first process builds it while the others wait. The folder is whole or absent, even after a kill and where locks
    do not work, and has the checksums of its files, which each process verifies once.

    Args:
        build: a function that fills the empty folder it is given. If it raises, the error is passed on and nothing is
            left behind.

    Raises:
        DiskRefuses: the folder cannot be written.
        DiskFull: its disk is full.
    """
    if is_sound(folder):
        return folder
    with writing_to(folder.parent):
        make_inside(folder.parent)
        mode = mode_below(folder.parent)
        with locked(folder.with_name(f".{folder.name}.lock"), mode & 0o666):
            if is_sound(folder):
                return folder
            say_if_damaged(folder)
            partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
            try:
                build(partial)
                seal(partial)
                give_mode(partial, mode)
                _put(partial, folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


def _put(partial: Path, folder: Path) -> None:
    """Put a finished folder into its place, unless another process, for which no lock works, has just done so."""
    for tried in range(TRIES):
        if is_sound(folder):
            return
        discard(folder)
        try:
            partial.replace(folder)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or tried == TRIES - 1:
                raise


def _hold(folder: Path) -> bool:
    """Mark `folder` as in use until this process ends, or has opened many others; False if it is gone."""
    touch(folder)
    file = held(folder / SUMS)
    if (earlier := _held.pop(folder, None)) is not None:
        earlier.close()
    if file is None:
        return False
    _held[folder] = file
    if len(_held) > MOST_HELD:
        _held.pop(next(iter(_held))).close()
    return True


def _tidy(folder: Path) -> None:
    """Keep the entries of `folder` within their share of the disk. What belongs to others may refuse to go."""
    with suppress(OSError):
        sweep(folder)
        sizes = {entry: bytes_of(entry) for entry in folder.glob("[!.]*")}
        make_room(sizes, 0, (shutil.disk_usage(folder).free + sum(sizes.values())) // SHARE_OF_DISK)


def say_if_damaged(folder: Path) -> None:
    """Say why `folder`, which is not sound, is made again, unless it is not there at all."""
    if not folder.exists():
        return
    unsealed = folder.is_dir() and any(folder.iterdir()) and not (folder / SUMS).exists()
    if unsealed:  # as earlier versions left it
        why = f"{folder} was prepared by another version of peftsearch"
    else:
        why = f"{folder} is damaged ({next(damaged_files(folder), SUMS)})"
    print(f"{why}; it is made again", file=sys.stderr)
