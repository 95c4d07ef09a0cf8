"""Where what is prepared once lies, for all studies and working folders of a user, or of several machines."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from peftsearch.core.calls.precedence import CACHE_VARIABLE, of_environment
from peftsearch.core.files.run_folder import runs_folder
from peftsearch.core.packages import expanded

DATA, TOKENS, PREFIXES = "data", "tokens", "prefixes"
"""The folders of the prepared splits, of the tokenised ones, and of what frozen layers have computed of these."""


@dataclass(frozen=True)
class CacheFolder:
    """What lies in the cache goes by its content, so that it belongs to no study, and all of it can be made again."""

    root: Path

    @property
    def data(self) -> Path:
        """The prepared splits."""
        return self.root / DATA

    @property
    def precision(self) -> Path:
        """How long a training step takes in each number format."""
        return self.root / "precision.json"


def cache_folder() -> CacheFolder:
    """The folder of `PEFTSEARCH_CACHE`, or else `peftsearch` in the user's folder of caches.

    Where neither is named and the home cannot be written, as in many containers, it lies in the folder of all studies.
    """
    if given := of_environment(None, CACHE_VARIABLE):
        return CacheFolder(expanded(given).absolute())
    own = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "peftsearch"
    return CacheFolder(own if _can_be_written(own) else runs_folder().absolute() / ".cache")


def make_inside(folder: Path) -> None:
    """Make a folder of prepared things if it is not there, and the one that holds it: the cache, or a study's own.

    They hold people's texts. A cache that is made here is its user's alone.

    Raises:
        OSError: the disk refuses.
    """
    if not folder.is_dir():
        mode = 0o700 if folder.parent == cache_folder().root else 0o777
        folder.parent.mkdir(mode=mode, parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            return  # another process, maybe of another user, was faster
        folder.chmod(mode_below(folder.parent))


def mode_below(folder: Path) -> int:
    """The permissions of a folder inside `folder`: whoever may write there may read and write it, and nobody else.

    So a cache is shared on purpose only, with `chmod g+ws` for instance: folders that others may read are common.
    """
    mode = folder.stat().st_mode
    return 0o700 | mode & stat.S_ISGID | (0o070 if mode & stat.S_IWGRP else 0) | (0o007 if mode & stat.S_IWOTH else 0)


def give_mode(folder: Path, mode: int) -> None:
    """Give a folder and all in it these permissions; files cannot be executed."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def _can_be_written(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return folder.is_absolute() and os.access(folder, os.W_OK | os.X_OK)
