"""A checkpoint as one file: what an artifact is.

It is a tar archive without compression, since weights hardly compress. One artifact for a checkpoint is one write,
which a bucket shows as a whole or not at all, and one line in the database. The tensors come last, so that the rest
can be read without them.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from peftsearch.core.errors import shown
from peftsearch.core.files.checksums import SUMS, checksum_of, damaged_files, is_sound, seal, sealed_files, sealed_in
from peftsearch.core.files.disk import writing_to
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem

SUFFIX = ".tar"

COPIED = 1 << 20
"""Bytes that are copied at a time."""

LEFT_SECONDS = 86_400.0
"""What is older was left by a process that was killed."""

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")
"""How files of a checkpoint are called: they lie in its folder itself, and every disk takes such a name."""


class Damaged(Exception):
    """An archive is not what was put into the store. The message says what of it is not."""


@contextmanager
def packed(checkpoint: Path) -> Iterator[Path]:
    """The archive of a checkpoint, for as long as the block lasts, named after the checkpoint.

    Raises:
        Damaged: the checkpoint is not what was saved.
        DiskFull: there is no room for it beside the checkpoint.
    """
    if (problem := checkpoint_problem(checkpoint, trust_times=True)) is not None:
        raise Damaged(f"the checkpoint is {problem}")
    if not (checkpoint / SUMS).is_file():  # of an earlier version
        seal(checkpoint)
    with scratch_beside(checkpoint) as scratch:
        archive = scratch / f"{checkpoint.name}{SUFFIX}"
        files = [checkpoint / name for name in (SUMS, *(sealed_files(checkpoint) or ()))]
        with writing_to(checkpoint.parent), tarfile.open(archive, "x") as into:
            for file in sorted(files, key=lambda path: (path.name == TENSORS, path.name)):
                info = tarfile.TarInfo(file.name)  # whose owner and times are nobody's
                info.size = file.stat().st_size
                with file.open("rb") as content:
                    into.addfile(info, content)
        yield archive


def unpack(archive: BinaryIO, checkpoint: Path, check: Callable[[Path], None]) -> None:
    """Make the folder `checkpoint` of an archive: whole or, if the archive is damaged, not at all.

    Args:
        archive: is read once, from its beginning to its end.
        check: is given the folder with what was unpacked, and raises `Damaged` if that is not what it should be.

    Raises:
        Damaged: what the archive holds is not what was packed.
        DiskFull: there is no room for it.
    """
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with scratch_beside(checkpoint) as scratch:
        whole = scratch / checkpoint.name
        whole.mkdir()  # with the permissions of any folder; those of `scratch` are its user's alone
        with _saying_damage():
            for name, content in _files(archive):
                with writing_to(checkpoint.parent), (whole / name).open("xb") as target:
                    shutil.copyfileobj(content, target, COPIED)
        sealed = sealed_files(whole) or {}
        if {file.name for file in whole.iterdir()} != {*sealed, SUMS}:
            raise Damaged("its files are not those of its checksums")
        if (wrong := next(damaged_files(whole), None)) is not None:
            raise Damaged(wrong)
        for name, (_, _, changed) in sealed.items():
            os.utime(whole / name, ns=(changed, changed))  # so that a look at the times says that nothing has changed
        check(whole)
        if not is_sound(checkpoint):  # else another process was faster
            shutil.rmtree(checkpoint, ignore_errors=True)
            whole.replace(checkpoint)


def one_file(archive: BinaryIO, name: str) -> bytes | None:
    """The content of one file of an archive, which is read no further than that; None if it has no such file.

    Raises:
        Damaged: it is no archive, or the file is not what was packed.
    """
    sealed: dict[str, tuple[str, int, int]] = {}
    with _saying_damage():
        for found, content in _files(archive):
            if found == SUMS:
                sealed = sealed_in(content.read()) or {}
            elif found == name:
                read = content.read()
                if name not in sealed or checksum_of(read) != sealed[name][0]:
                    raise Damaged(name)
                return read
    return None


@contextmanager
def scratch_beside(checkpoint: Path) -> Iterator[Path]:
    """A folder on the same disk, of which sweeping the checkpoints deletes what a killed process has left.

    So does the next use for the same checkpoint after a day: a machine that only exports sweeps nothing.
    """
    for left in checkpoint.parent.glob(f".{checkpoint.name}-*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with writing_to(checkpoint.parent):  # processes of several machines may share the folder, and have the same id
        scratch = Path(tempfile.mkdtemp(prefix=f".{checkpoint.name}-", dir=checkpoint.parent))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _files(archive: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file, to be read before the next one is asked for; none holds more than the archive."""
    names: set[str] = set()
    with tarfile.open(fileobj=archive, mode="r|") as opened:
        for info in opened:
            plain = info.isreg() and not info.issparse() and NAME.fullmatch(info.name) and info.name not in names
            content = opened.extractfile(info) if plain else None
            if content is None:
                raise Damaged(f"it names {shown(info.name)}")
            names.add(info.name)
            yield info.name, content


@contextmanager
def _saying_damage() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, ValueError, IndexError, OverflowError) as error:  # tarfile raises all of these
        raise Damaged(str(error)) from error
