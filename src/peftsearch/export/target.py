"""The folder that an export is written to: whole or as it was, and nothing in it deleted that export did not write.

An export is written beside its target, into a scratch folder that holds

    export/    the new export, and after it was swapped with the target the earlier one
    earlier/   the earlier export, for the moment between two renames where a file system cannot swap
    lock       locked for as long as the process lives
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import SUMS, damaged_files, is_sound, seal, sealed_files
from peftsearch.core.files.disk import check_name, check_writable, writing_to
from peftsearch.export.exchange import exchange

BYTECODE, EXPORT, EARLIER, LOCK = "__pycache__", "export", "earlier", "lock"
RANDOM_PART = re.compile(r"[a-z0-9_]{8}")
"""What `tempfile` adds to a name."""


def check_out(out: Path, overwrite: bool = False) -> None:
    """Refuse a folder that is not empty, unless an earlier export may be replaced and it holds just that.

    Args:
        overwrite: whether an earlier export may be replaced, if all its files are as they were written.

    Raises:
        UserError: it is not empty, or no folder.
    """
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"--out {out}: is not a folder; choose another")
    there = [path for path in out.rglob("*") if not _is_bytecode(path)] if out.exists() else []
    found = {path.relative_to(out).as_posix() for path in there}
    if not found:
        return
    written = sealed_files(out) or {}
    known = {SUMS, *written, *(str(parent) for name in written for parent in Path(name).parents)}
    other = sorted(found - known)
    if other:
        raise UserError(f"--out {out}: holds other files ({other[0]}); choose a new folder")
    changed = [name for name in damaged_files(out) if name in found]
    if changed:
        raise UserError(f"--out {out}: {changed[0]} is not as it was exported; choose a new folder")
    if not overwrite:
        raise UserError(f"--out {out}: holds an earlier export; add --overwrite to replace it, or choose a new folder")


def _is_bytecode(path: Path) -> bool:
    """Whether Python has left this where it imported a module of an export."""
    if path.is_dir():
        return path.name == BYTECODE
    return path.parent.name == BYTECODE and path.suffix == ".pyc"


@contextmanager
def written_whole(out: Path, overwrite: bool = False) -> Iterator[Path]:
    """A new folder, which takes the place of `out` once the block inside has filled it.

    Whenever this process is killed, `out` is the earlier export or the new one, or as absent or empty as it was. What
    a killed process has left is deleted at the next call for the same folder. Folders and files get the modes that the
    process's umask gives to new ones, whatever the library that wrote them has chosen.

    Args:
        overwrite: whether an earlier export may be replaced.

    Raises:
        UserError: `out` is not empty, unless it is an earlier export that may be replaced.
        DiskRefuses: the folder around `out` cannot be written.
        DiskFull: its disk is full.
    """
    place = Path(os.path.abspath(out))  # noqa: PTH100  Path.absolute keeps `..`, which has no name
    check_writable(place.parent)
    check_name(place)
    with writing_to(place.parent):
        delete_left_over(place)
        check_out(out, overwrite)
        with _scratch(place) as scratch:
            folder = scratch / EXPORT
            folder.mkdir()
            yield folder
            _usual_modes(folder)
            seal(folder)
            check_out(out, overwrite)  # somebody may have put a file there meanwhile
            _put(folder, place, scratch / EARLIER)


def delete_left_over(place: Path) -> None:
    """Delete the scratch folders of killed processes for this target, after putting its earlier export back."""
    from filelock import FileLock, Timeout

    for scratch in place.parent.glob(f".{_escaped(place.name)}-*"):
        if not _is_scratch(scratch, place):
            continue
        if not (scratch / LOCK).exists():
            with suppress(OSError):  # a process is making it right now, or was killed at that
                scratch.rmdir()
            continue
        with suppress(Timeout, OSError), FileLock(scratch / LOCK, timeout=0):
            earlier = scratch / EARLIER
            if not place.exists() and is_sound(earlier):
                earlier.rename(place)
            _delete(scratch)


def _is_scratch(scratch: Path, place: Path) -> bool:
    """Whether this is a scratch folder for this target, and nobody has put anything else into it."""
    random_part = scratch.name.removeprefix(f".{place.name}-")
    return (
        RANDOM_PART.fullmatch(random_part) is not None
        and scratch.is_dir()
        and not scratch.is_symlink()
        and {path.name for path in scratch.iterdir()} <= {EXPORT, EARLIER, LOCK}
    )


@contextmanager
def _scratch(place: Path) -> Iterator[Path]:
    from filelock import FileLock

    while True:
        scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
        try:
            with FileLock(scratch / LOCK):
                if (scratch / LOCK).exists():  # else another process took it for left over, and has deleted it
                    yield scratch
                    return
        finally:
            _delete(scratch)


def _delete(scratch: Path) -> None:
    """Delete a scratch folder, its lock at last: if this is killed, the next call finds the lock and goes on."""
    for folder in (scratch / EXPORT, scratch / EARLIER):
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        (scratch / LOCK).unlink(missing_ok=True)
        scratch.rmdir()


def _usual_modes(folder: Path) -> None:
    """Give everything in `folder` the modes of new folders and files, as `folder` itself got them of the umask."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        path.chmod(mode if path.is_dir() else mode & 0o666)


def _put(folder: Path, place: Path, earlier: Path) -> None:
    """Move `folder` to `place`, which is absent, empty or an earlier export."""
    if not place.exists() or not any(place.iterdir()):
        folder.rename(place)
    elif not exchange(folder, place):
        place.rename(earlier)
        try:
            folder.rename(place)
        except BaseException:
            earlier.rename(place)
            raise


def _escaped(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)
