"""Unpacks compressed files and archives, within a limit of size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, cast

from peftsearch.core.errors import UserError, one_line

MOST_BYTES = 1 << 30
"""The most that is read of one source, unpacked: a table takes about six times as much memory as its file."""

MOST_TIMES = 500
"""The most by which a file may grow when it is unpacked: tables of text grow at most about a hundredfold."""

PART = 16 << 20
"""Bytes that are unpacked at a time."""

DEEPEST = 3
"""How many archives may be within each other."""

JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db", "desktop.ini")
"""What operating systems add to folders and archives."""

# fsspec.open(compression="infer") is no substitute: it overlooks the ending of a URL with a query (`a.csv.gz?token=…`),
# takes `::` in a local file's name for a chain of protocols, and reads whichever file is first in a zip archive.
OPENERS: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
PACKINGS = (*OPENERS, ".zip")

DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError)
"""What these openers raise at a damaged file."""

OTHER_KINDS = {
    b"\x1f\x8b": "a gzip file", b"BZh": "a bzip2 file", b"\xfd7zXZ": "an xz file", b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7z archive", b"Rar!": "a RAR archive", b"PAR1": "a Parquet file", b"ARROW1": "an Arrow file",
    b"\xd0\xcf\x11\xe0": "an Office file", b"%PDF": "a PDF", b"\x89PNG": "an image", b"\xff\xd8\xff": "an image",
    b"SQLite format 3": "a database", b"\x80\x04": "a pickle",
    b"version https://git-lfs.github.com": "a pointer of Git LFS (run git lfs pull)",
    b"<!DOCTYPE html": "a web page", b"<!doctype html": "a web page", b"<html": "a web page",
}  # fmt: skip
"""First bytes of files that are not text in columns."""


def is_junk(name: str) -> bool:
    """Whether a file or folder is hidden, or was added by an operating system.

    >>> is_junk(".git"), is_junk("__MACOSX"), is_junk("a.csv")
    (True, True, False)
    """
    return name.startswith(".") or name in JUNK


def limited(file: IO[bytes], name: str, packed: int | None = None) -> bytes:
    """The rest of an open file.

    Args:
        packed: its size before it was unpacked, if it was.

    Raises:
        UserError: it is larger than `MOST_BYTES`, or more than `MOST_TIMES` as large as it was.
    """
    parts, size = [], 0
    while part := file.read(PART):
        parts.append(part)
        size += len(part)
        check_size(size, name)
        if packed is not None and size > max(4 * PART, MOST_TIMES * packed):
            raise UserError(f"data.source: {name} unpacks to over {MOST_TIMES} times its size, as no table does")
    return b"".join(parts)


def check_size(size: int, name: str) -> None:
    """Refuse a source of more than `MOST_BYTES`.

    Raises:
        UserError: the limit, and what to do.
    """
    if size > MOST_BYTES:
        raise UserError(
            f"data.source: {name} is larger than the limit of {MOST_BYTES / (1 << 30):.3g} GiB unpacked; "
            "keep fewer rows or columns in it"
        )


def unpack(content: bytes, name: str) -> tuple[bytes, str, tuple[str, ...]]:
    """Unpack a file until its name has no ending of a packing.

    Returns:
        The content, the name without these endings (of an archive without another ending, the name of the file in it),
        and a note for each archive of which files were left out.

    Raises:
        UserError: it is damaged, too large or too deep, or an archive holds several files.
    """
    path = PurePosixPath(name)
    notes: list[str] = []
    for _ in range(DEEPEST + 1):
        packing = path.suffix.lower()
        if packing not in PACKINGS:
            return content, path.name, tuple(notes)
        path = path.with_suffix("")
        try:
            if packing == ".zip":
                content, inner, left_out = _only_member(content, name)
                notes += [f"left out of {name}: {', '.join(left_out)}"] if left_out else []
                if not path.suffix or PurePosixPath(inner).suffix.lower() in PACKINGS:
                    path = PurePosixPath(inner)
            else:
                content = limited(OPENERS[packing](io.BytesIO(content)), name, packed=len(content))
        except DAMAGED as error:
            raise UserError(f"data.source: {name} cannot be unpacked: {one_line(error)}") from error
    raise UserError(f"data.source: {name} holds more than {DEEPEST} archives within each other; unpack it")


def _only_member(content: bytes, name: str) -> tuple[bytes, str, list[str]]:
    """The one file with data in a zip archive, its name, and the names of other files."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member, left_out = only_member(archive, name)
        check_size(member.file_size, name)
        with archive.open(member) as file:
            return limited(file, name, packed=len(content)), member.filename, left_out


def only_member(archive: zipfile.ZipFile, name: str) -> tuple[zipfile.ZipInfo, list[str]]:
    """The one file with data in a zip archive, and the names of other files.

    Raises:
        UserError: there is none, or there are several.
    """
    members = [
        member for member in archive.infolist()
        if not member.is_dir() and not any(map(is_junk, PurePosixPath(member.filename).parts))
    ]  # fmt: skip
    data = [m for m in members if not PurePosixPath(m.filename).name.lower().startswith(("readme", "license"))]
    if len(data) != 1:
        names = ", ".join(PurePosixPath(member.filename).name for member in data[:4])
        more = ", …" if len(data) > 4 else ""
        raise UserError(
            f"data.source: {name} holds {len(data):,} files ({names}{more}); unpack it and name the folder, "
            "or a file for each split: source: {train: FILE, test: FILE}"
        )
    return data[0], [m.filename for m in members if m is not data[0]]


def check_is_text(content: bytes, name: str) -> None:
    """Refuse what is a file of another kind by its first bytes.

    Raises:
        UserError: its kind, whatever its name says.
    """
    kind = next((kind for start, kind in OTHER_KINDS.items() if content.startswith(start)), None)
    if kind:
        raise UserError(f"data.source: {name} is {kind} by its content, not text in columns; name the data itself")
