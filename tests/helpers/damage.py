"""What can happen to the files of a folder: each way changes one file, or all, at a place drawn at random."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path


def files_of(folder: Path) -> list[str]:
    """The files in a folder and below it, as sorted relative paths."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _one(folder: Path, draw: random.Random) -> Path:
    return folder / draw.choice([name for name in files_of(folder) if (folder / name).stat().st_size])


def _garbage(folder: Path, draw: random.Random) -> None:
    """Bytes in the middle change, and the size stays."""
    file = _one(folder, draw)
    content = bytearray(file.read_bytes())
    start = draw.randrange(len(content))
    for place in range(start, min(start + 8, len(content))):
        content[place] ^= draw.randint(1, 255)
    file.write_bytes(content)


def _cut(folder: Path, draw: random.Random) -> None:
    file = _one(folder, draw)
    content = file.read_bytes()
    file.write_bytes(content[: draw.randrange(len(content))])


def _missing(folder: Path, draw: random.Random) -> None:
    _one(folder, draw).unlink()


def _zeros(folder: Path, draw: random.Random) -> None:
    """As a file can be after the power went off: long as it was, and all zeros."""
    file = _one(folder, draw)
    file.write_bytes(bytes(file.stat().st_size))


def _longer(folder: Path, draw: random.Random) -> None:
    file = _one(folder, draw)
    file.write_bytes(file.read_bytes() + draw.randbytes(9))


def _empty(folder: Path, draw: random.Random) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _a_file(folder: Path, draw: random.Random) -> None:
    shutil.rmtree(folder)
    folder.write_text("not a folder", encoding="utf-8")


DAMAGES: dict[str, Callable[[Path, random.Random], None]] = {
    "garbage": _garbage,
    "cut": _cut,
    "missing": _missing,
    "zeros": _zeros,
    "longer": _longer,
    "empty folder": _empty,
    "a file instead": _a_file,
}
