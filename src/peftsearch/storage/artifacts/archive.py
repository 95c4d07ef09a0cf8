"""A checkpoint as one file: what an artifact is.

It is a tar archive without compression, since weights hardly compress. One artifact for a checkpoint is one write,
which a bucket shows as a whole or not at all, and one line in the database. The tensors come last, so that the rest
can be read without them.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from peftsearch.core.files.checksums import damaged_files, sealed_files
from peftsearch.core.files.disk import writing_to
from peftsearch.core.files.run_folder import TENSORS

SUFFIX = ".tar"

COPIED = 1 << 20
"""Bytes that are copied at a time."""


class Damaged(Exception):
    """An archive is not what was put into the store. The message says what of it is not."""


@contextmanager
def packed(checkpoint: Path) -> Iterator[Path]:
    """The archive of a checkpoint, for as long as the block lasts, named after the checkpoint.

    Raises:
        DiskFull: there is no room for it beside the checkpoint.
    """
    with scratch_beside(checkpoint) as scratch:
        archive = scratch / f"{checkpoint.name}{SUFFIX}"
        files = [path for path in checkpoint.iterdir() if path.is_file()]
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
        whole.mkdir()
        with _saying_damage():
            for name, content in _files(archive):
                with writing_to(checkpoint.parent), (whole / name).open("xb") as target:
                    shutil.copyfileobj(content, target, COPIED)
        wrong = next(damaged_files(whole), None)
        if wrong is not None:
            raise Damaged(wrong)
        for name, (_, _, changed) in (sealed_files(whole) or {}).items():
            os.utime(whole / name, ns=(changed, changed))  # so that a look at the times says that nothing has changed
        check(whole)
        if not checkpoint.exists():  # else another process was faster
            whole.replace(checkpoint)


def one_file(archive: BinaryIO, name: str) -> bytes | None:
    """The content of one file of an archive, which is read no further than that; None if it has no such file.

    Raises:
        Damaged: it is no archive.
    """
    with _saying_damage():
        return next((content.read() for found, content in _files(archive) if found == name), None)


@contextmanager
def scratch_beside(checkpoint: Path) -> Iterator[Path]:
    """A folder on the same disk, of which sweeping the checkpoints deletes what a killed process has left."""
    scratch = checkpoint.with_name(f".{checkpoint.name}-{os.getpid()}")
    shutil.rmtree(scratch, ignore_errors=True)
    with writing_to(checkpoint.parent):
        scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _files(archive: BinaryIO) -> Iterator[tuple[str, IO[bytes]]]:
    """Name and content of each file, to be read before the next one is asked for."""
    with tarfile.open(fileobj=archive, mode="r|") as opened:
        for info in opened:
            content = opened.extractfile(info) if info.isreg() else None
            if content is None or Path(info.name).name != info.name or info.name in (".", ".."):
                raise Damaged(f"it names {info.name!r}")
            yield info.name, content


@contextmanager
def _saying_damage() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise Damaged(str(error)) from error
