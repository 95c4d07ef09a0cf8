"""Folders that one worker makes and all workers read."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from peftsearch.core.files.checksums import SUMS, damaged_files, is_sound, seal
from peftsearch.core.files.disk import writing_to


def digest(*parts: object) -> str:
    """A hash of `parts`, which must be JSON data, in 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, filled by `build` if it is not there yet or damaged.

    The first process builds it while the others wait. The folder is whole or absent, even after a kill, and has the
    checksums of its files, which each process verifies once.

    Args:
        build: a function that fills the empty folder it is given. If it raises, the error is passed on and nothing is
            left behind.

    Raises:
        DiskRefuses: the folder cannot be written.
        DiskFull: its disk is full.
    """
    if is_sound(folder):
        return folder
    from filelock import FileLock

    partial = folder.with_name(f".{folder.name}.partial")
    with writing_to(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock")):
            if is_sound(folder):
                return folder
            say_if_damaged(folder)
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
            partial.mkdir()
            try:
                build(partial)
                seal(partial)
                discard(folder)
                partial.replace(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder


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


def discard(folder: Path) -> None:
    """Delete `folder`, if it is there. It is renamed first, so that it is whole or absent at any time.

    Files that a process has open stay readable for it.
    """
    gone = folder.with_name(f".{folder.name}.gone")
    shutil.rmtree(gone, ignore_errors=True)
    if folder.is_file() or folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)
