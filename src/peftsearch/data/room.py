"""Makes room in a folder of things that can be made again: the least recently used goes first, and none in use."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from peftsearch.core.files.checksums import SUMS
from peftsearch.core.files.locks import alone_with

LEFT_SECONDS = 86400.0
"""A half-made entry that is older was left by a process that was killed."""


def make_room(sizes: Mapping[Path, int], size: int, limit: int, in_use: str = SUMS) -> bool:
    """Remove the least recently used entries until there is room for `size` more bytes.

    Args:
        sizes: the bytes of each entry that is there.
        size: not more than `limit`.
        limit: the bytes that all entries together may take.
        in_use: the file of an entry that whoever uses it holds.

    Returns:
        Whether there is room. There may be none while entries are in use.
    """
    total = sum(sizes.values()) + size
    for entry in sorted(sizes, key=_last_used):
        if total <= limit:
            break
        with alone_with(entry / in_use) as alone:
            if alone:
                discard(entry)
                total -= sizes[entry]
    return total <= limit


def discard(folder: Path) -> None:
    """Delete `folder`, if it is there. It is renamed first, so that it is whole or absent at any time.

    Files that a process of this machine has open stay readable for it.
    """
    if folder.is_file() or folder.is_symlink():
        folder.unlink()
        return
    gone = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.gone")
    with suppress(FileNotFoundError):
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed have left half made or half deleted, and locks of what is gone."""
    for path in folder.glob(".*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime < LEFT_SECONDS:
                continue
            if path.suffix in (".partial", ".gone"):
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix == ".lock" and path.stem and not path.with_name(path.stem[1:]).exists():
                path.unlink()


def bytes_of(folder: Path) -> int:
    """The bytes of all files in `folder`; those that go meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def touch(entry: Path) -> None:
    """Note that `entry` was used now. Whoever may only read it leaves no note."""
    with suppress(OSError):
        os.utime(entry / SUMS)


def _last_used(entry: Path) -> float:
    """When the entry was last used, as a unix time; a damaged one, and one of an earlier version, goes first."""
    try:
        return (entry / SUMS).stat().st_mtime
    except OSError:
        return 0.0
