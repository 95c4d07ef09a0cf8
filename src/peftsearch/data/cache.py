"""Folders that one worker makes and all workers read."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path


def digest(*parts: object) -> str:
    """A hash of `parts`, which must be JSON data, in 16 hex digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def build_once(folder: Path, build: Callable[[Path], None]) -> Path:
    """`folder`, filled by `build` if it is not there yet.

    The first process builds it while the others wait. The folder is complete or absent, even after a kill.

    Args:
        build: a function that fills the empty folder it is given. If it raises, the error is passed on and nothing is
            left behind.
    """
    if folder.exists():
        return folder
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}.partial")
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if not folder.exists():
            shutil.rmtree(partial, ignore_errors=True)  # left by a process that was killed
            partial.mkdir()
            try:
                build(partial)
                partial.replace(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
    return folder
