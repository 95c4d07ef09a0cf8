"""Checksums of a folder's files, written once they are all there: they show later whether one was damaged or lost."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from xxhash import xxh3_128

SUMS = "checksums.json"
"""The file that holds, for every other file of the folder, its checksum, its bytes and the time of its last change."""

_verified: set[tuple[int, int, int, int, str]] = set()
"""The files whose checksums this process has verified: device, inode, bytes, time of the last change, checksum."""


def seal(folder: Path) -> None:
    """Write the checksums of all files in `folder` and in the folders below it."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / SUMS):
        stat = path.stat()
        files[path.relative_to(folder).as_posix()] = (checksum(path), stat.st_size, stat.st_mtime_ns)
    (folder / SUMS).write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")


def sealed_files(folder: Path) -> dict[str, tuple[str, int, int]] | None:
    """For each file that `seal` found, relative to `folder`: checksum, bytes, and nanoseconds of the last change.

    Returns:
        None if the folder was not sealed, or its checksums are damaged themselves.
    """
    try:
        return sealed_in((folder / SUMS).read_bytes())
    except OSError:
        return None


def sealed_in(written: bytes) -> dict[str, tuple[str, int, int]] | None:
    """The same, of the content of a file of checksums."""
    try:
        files = json.loads(written)["files"]
        return {str(name): (str(found), int(size), int(changed)) for name, (found, size, changed) in files.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        return None


def damaged_files(folder: Path, *, trust_times: bool = False) -> Iterator[str]:
    """The files that are not there any more or not as `seal` found them; `SUMS` itself if it cannot be read.

    Each process reads a file at most once for this, as long as the file does not change. Files that were added to the
    folder do not count.

    Args:
        trust_times: whether a file with the bytes and the time of its last change as they were is taken for unchanged
            without reading it.
    """
    files = sealed_files(folder)
    if files is None:
        yield SUMS
    for name, sealed in (files or {}).items():
        try:
            if not _is_as_sealed(folder / name, *sealed, trust_times):
                yield name
        except OSError:
            yield name


def is_sound(folder: Path) -> bool:
    """Whether `folder` was sealed and every file is as it was then."""
    return next(damaged_files(folder), None) is None


def checksum(path: Path) -> str:
    """The XXH3 hash of a file's content, 128 bits in hexadecimal digits."""
    found = xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found.update(part)
    return found.hexdigest()


def checksum_of(content: bytes) -> str:
    """The same of what a file would hold."""
    return xxh3_128(content).hexdigest()


def _is_as_sealed(path: Path, sealed: str, size: int, changed: int, trust_times: bool) -> bool:
    stat: os.stat_result = path.stat()
    if stat.st_size != size:
        return False
    if trust_times and stat.st_mtime_ns == changed:
        return True
    verified = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, sealed)
    if verified not in _verified:
        if checksum(path) != sealed:
            return False
        _verified.add(verified)
    return True
