"""Opens a file of texts to be read once from its start to its end, unpacked and decoded on the way."""

from __future__ import annotations

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path, PurePosixPath
from typing import IO, cast

from peftsearch.core.errors import UserError, nearest, one_line
from peftsearch.data.read.encoding import MARKS, WINDOWS, decode
from peftsearch.data.read.packing import DAMAGED, DEEPEST, MOST_TIMES, OPENERS, PACKINGS, PART, check_is_text
from peftsearch.data.read.packing import only_member as only_member_of

STDIN = Path("-")

HEAD = 8 << 20
"""Bytes of a file that are looked at before it is read. All of a smaller file is, as for training."""

STRAY = re.compile("[\udc80-\udcff]")
"""How bytes that are not UTF-8 come out of a decoder that keeps them."""


@dataclass
class Stream:
    """An open file.

    Attributes:
        file: its bytes, unpacked.
        name: what messages call it.
        kind: the ending that says its format, such as `.csv`.
        position: the bytes read so far of the file as it lies on the disk, for a progress bar.
        size: the size of that file; None for the standard input.
        notes: what was guessed about it. More may come while it is read.
        live: whether it is the standard input, from which rows may come slowly.
    """

    file: IO[bytes]
    name: str
    kind: str
    position: Callable[[], int]
    size: int | None
    notes: list[str]
    live: bool

    def lines(self, encoding: str | None = None) -> Iterator[str]:
        """The lines of its text, each with its end. Single bytes that are not UTF-8 are read as Windows-1252.

        Raises:
            UserError: it is not text, or its encoding has to be named.
        """
        head = self.file.read1(HEAD) if self.live else _filled(self.file)  # type: ignore[attr-defined]
        check_is_text(head, self.name)
        if not self.live and len(head) < HEAD:
            text, notes = decode(head, self.name, encoding)
            self.notes.extend(map(_by_option, notes))
            return iter(io.StringIO(text, newline=""))
        return self._decoded(head, encoding or self._encoding_of(head))

    def _encoding_of(self, head: bytes) -> str:
        mark = next((mark for mark in MARKS if head.startswith(mark)), b"")
        text = head.decode("utf-8", "surrogateescape")
        stray = len(STRAY.findall(text))
        letters = len(text) - len(text.encode("ascii", "ignore")) - stray
        if not mark and (b"\0" in head or stray > letters + 3):  # the head may end within a character
            raise UserError(f"--file {self.name}: is not UTF-8; name its encoding, as in --encoding cp1252")
        return MARKS.get(mark, "utf-8")

    def _decoded(self, head: bytes, encoding: str) -> Iterator[str]:
        errors = "surrogateescape" if encoding == "utf-8" else "strict"
        joined = cast(IO[bytes], io.BufferedReader(_Joined(head, self.file)))
        text = io.TextIOWrapper(joined, encoding, errors, newline="")
        stray, first, number = 0, 0, 0
        try:
            for number, line in enumerate(text, start=1):
                if number == 1:
                    line = line.removeprefix("\ufeff")
                if not line.isascii() and (found := STRAY.findall(line)):
                    stray, first = stray + len(found), first or number
                    line = line.encode("utf-8", "surrogateescape").decode("utf-8", WINDOWS)
                yield line
        except UnicodeDecodeError as error:
            raise UserError(
                f"--file {self.name}: is not in {encoding}, by what follows line {number}; "
                "name another encoding with --encoding"
            ) from error
        if stray:
            self.notes.append(
                f"{self.name} is UTF-8 but for {stray:,} {'byte' if stray == 1 else 'bytes'}, "
                f"read as Windows-1252, the first in line {first}"
            )


@contextmanager
def opened(file: Path, kinds: tuple[str, ...], kind: str | None = None) -> Iterator[Stream]:
    """Open a file, or the standard input for `-`.

    Args:
        kinds: the endings of formats that can be read.
        kind: the format, if it is another one than the file's name says.

    Raises:
        UserError: it is not there, cannot be opened or unpacked, or its format is unknown.
    """
    if file != STDIN and not file.is_file():
        raise UserError(f"--file {file}: no such file")
    with ExitStack() as stack:
        raw = sys.stdin.buffer if file == STDIN else stack.enter_context(file.open("rb"))
        notes: list[str] = []
        try:
            content, inner = _unpacked(raw, file, notes, stack)
        except DAMAGED as error:
            raise _damaged(file.name, error) from error
        found = kind or (".txt" if file == STDIN else PurePosixPath(inner).suffix.lower())
        if found not in kinds:
            also = f", each also {', '.join(PACKINGS)}"
            raise UserError(f"--file {file}: has no known format; {nearest(found, kinds)}{also}; --format overrides it")
        live = file == STDIN
        size = None if live else file.stat().st_size
        name = "the standard input" if live else file.name
        yield Stream(content, name, found, (lambda: 0) if live else raw.tell, size, notes, live)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Inside, what a file is refused for is told as of `--file`, and an error of a damaged packed file in a line."""
    try:
        yield
    except UserError as error:
        raise UserError(_by_option(str(error))) from error
    except DAMAGED as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the operating system's: this is about another file, or the disk
        raise _damaged(name, error) from error


def _by_option(said: str) -> str:
    """What is said of a file, in which a study's keys become the options that stand for them here."""
    changes = {"data.source: ": "--file ", "data.encoding: ": "--file ", "data.encoding": "--encoding"}
    changes["or leave the key out"] = "or leave --encoding out"
    return reduce(lambda text, change: text.replace(*change), changes.items(), said)


def _damaged(name: str, error: Exception) -> UserError:
    return UserError(f"--file {name}: cannot be unpacked: {one_line(error)}")


def _unpacked(raw: IO[bytes], file: Path, notes: list[str], stack: ExitStack) -> tuple[IO[bytes], str]:
    """The content of a file, and its name without endings of packings."""
    content, path = raw, PurePosixPath(file.name)
    for _ in range(DEEPEST + 1):
        packing = path.suffix.lower()
        if packing not in PACKINGS:
            return content, path.name
        path = path.with_suffix("")
        if packing == ".zip":
            archive = stack.enter_context(zipfile.ZipFile(content))
            member, left_out = only_member_of(archive, file.name)
            notes += [f"left out of {file.name}: {', '.join(left_out)}"] if left_out else []
            content = stack.enter_context(archive.open(member))
            inner = PurePosixPath(member.filename)
            path = inner if not path.suffix or inner.suffix.lower() in PACKINGS else path
        else:
            content = stack.enter_context(OPENERS[packing](content))
        content = cast(IO[bytes], io.BufferedReader(_Unpacked(content, raw, file.name)))
    raise UserError(f"--file {file}: holds more than {DEEPEST} archives within each other; unpack it")


def _filled(file: IO[bytes]) -> bytes:
    """The first `HEAD` bytes of a file, or all of a shorter one."""
    parts, size = [], 0
    while size < HEAD and (part := file.read(HEAD - size)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


class _Joined(io.RawIOBase):
    """Bytes that were read already, and then the rest of the file."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part, self.head = self.head[: len(buffer)], self.head[len(buffer) :]
        part = part or self.file.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(part)] = part
        return len(part)


class _Unpacked(io.RawIOBase):
    """What is unpacked from a file, within the limit by which tables of text grow."""

    def __init__(self, content: IO[bytes], raw: IO[bytes], name: str) -> None:
        self.content, self.raw, self.name, self.size = content, raw, name, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self.content.read(len(buffer))
        self.size += len(part)
        if self.size > max(4 * PART, MOST_TIMES * self.raw.tell()):
            raise UserError(f"--file {self.name}: unpacks to over {MOST_TIMES} times its size, as no table does")
        buffer[: len(part)] = part
        return len(part)
