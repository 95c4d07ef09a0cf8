"""Reads a folder per class with a text in each file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table
from peftsearch.data.read.encoding import decode
from peftsearch.data.read.layout import class_folders
from peftsearch.data.read.packing import check_size, is_junk

UNLABELLED = ("unsup", "unsupervised", "unlabeled", "unlabelled")
"""Folders of texts without a class, beside those of the classes."""

BETWEEN = b"\n\x1c\x1c\n"
"""What stands between texts that are decoded together."""


def read_class_folders(path: Path, encoding: str | None) -> Table:
    """The text of each file, labelled with the name of its folder. Texts that are not UTF-8 are in one encoding.

    Raises:
        UserError: a file cannot be read, is no text, or all together are too large.
    """
    folders = class_folders(path)
    unlabelled = [folder for folder in folders if folder.name.lower() in UNLABELLED and len(folders) > 2]
    classes = [folder for folder in folders if folder not in unlabelled]
    files = {folder.name: list(_texts(folder)) for folder in classes}
    check_size(sum(file.stat().st_size for texts in files.values() for file in texts), path.name)
    order = [file for texts in files.values() for file in texts]
    texts, notes = _decoded([_content(file) for file in order], order, path, encoding)
    notes += _notes(path, unlabelled, [name for name, texts in files.items() if not texts])
    labels = [label for label, found in files.items() for _ in found]
    return Table(f"the folders of {path.name}", {"text": texts, "label": labels}, notes=notes)


def _texts(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(map(is_junk, file.relative_to(folder).parts)):
            yield file


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"data.source: {file} cannot be read: {one_line(error)}") from error


def _decoded(
    contents: Sequence[bytes], files: Sequence[Path], path: Path, encoding: str | None
) -> tuple[list[str], tuple[str, ...]]:
    """All texts. What is not UTF-8 is guessed once for the whole folder, since one short text is too little for it."""
    texts = {}
    odd = []
    for place, content in enumerate(contents):
        if encoding or b"\0" in content:
            texts[place] = decode(content, str(files[place]), encoding)[0]
        elif _is_utf8(content):
            texts[place] = content.decode("utf-8-sig")
        else:
            odd.append(place)
    together, notes = decode(
        BETWEEN.join(contents[place] for place in odd), f"{path.name} ({len(odd):,} of {len(files):,} texts)"
    )
    texts |= dict(zip(odd, together.split(BETWEEN.decode()), strict=False))
    return [texts[place] for place in range(len(contents))], notes


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _notes(path: Path, unlabelled: Sequence[Path], empty: Sequence[str]) -> tuple[str, ...]:
    """What is not read: texts without a class, folders without texts, and files beside the folders."""
    beside = sorted(e.name for e in path.iterdir() if e.is_file() and not is_junk(e.name))
    left_out = [
        *(f"{folder.name} ({sum(1 for _ in _texts(folder)):,} texts without a class)" for folder in unlabelled),
        *(f"{name} (no texts)" for name in empty),
        *beside[:10],
        *([f"{len(beside) - 10:,} more files"] if len(beside) > 10 else []),
    ]
    return (f"left out of {path.name}: {', '.join(left_out)}",) if left_out else ()
