"""Which files and folders of a folder are which split, and which folders are classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.data.base import SPLITS
from peftsearch.data.read.packing import PACKINGS, is_junk
from peftsearch.data.read.saved import is_saved, saved_splits
from peftsearch.data.split_names import split_name

ENDINGS = (".csv", ".tsv", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".xlsx", ".ods")
"""Endings of files with data."""

AMBIGUOUS = (".txt", ".json")
"""Endings that are read when a study names the file. In a folder such files are often something else, so they are only
read when they are called like a split."""

Found = dict[str, tuple[Path, tuple[str, ...]]]
"""For each split the file or folder with its rows, and notes."""


def find_splits(folder: Path) -> Found:
    """Find the splits of a data set in a folder.

    It holds one data file, or several with a split's word in each name (`train.csv`, `mrpc_test.tsv.gz`), or a folder
    per class with a text in each file, or such folders under folders named like splits (`Train`, `test_data`), or was
    written by `save_to_disk`.

    Raises:
        UserError: the folder is none of these, or could be several of them.
    """
    if is_saved(folder):
        return saved_splits(folder)
    entries = sorted(entry for entry in folder.iterdir() if not is_junk(entry.name))
    files = [entry for entry in entries if _is_data(entry)]
    folders = [entry for entry in entries if entry.is_dir()]
    if files:
        sources = files + [entry for entry in folders if split_name(entry.name).plain]
    else:
        sources = _split_folders(folder, folders)
    if not sources:
        return {"train": (check_classes(folder), ())}
    left_out = [entry.name for entry in entries if entry not in sources]
    return _by_split(folder, sources, _left_out(folder, left_out))


def check_classes(folder: Path) -> Path:
    """The same folder, if it holds a folder per class.

    Raises:
        UserError: it holds none, or files with data, or splits.
    """
    classes = class_folders(folder)
    if not classes:
        raise UserError(f"data.source: no data file in {folder}; valid: {', '.join(ENDINGS)}, or a folder per class")
    for entry in (inner for label in classes for inner in sorted(label.iterdir())):
        if entry.is_dir() and split_name(entry.name).plain:
            raise UserError(
                f"data.source: {entry} looks like a split within a class; put the classes into folders train and test"
            )
        if entry.is_file() and not is_junk(entry.name) and _holds_rows(entry):
            raise UserError(f"data.source: {folder} has no data file, but {entry} is one; name it, or its folder")
    return folder


def class_folders(folder: Path) -> list[Path]:
    """The folders with a class's texts."""
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not is_junk(entry.name))


def _holds_rows(file: Path) -> bool:
    """Whether a file can hold many rows: no text of a folder per class does."""
    suffix = file.suffix.lower()
    return suffix in (*PACKINGS, ".arrow") or (suffix in ENDINGS and suffix not in AMBIGUOUS)


def _is_data(file: Path) -> bool:
    suffixes = [suffix.lower() for suffix in file.suffixes]
    packed = bool(suffixes) and suffixes[-1] in PACKINGS
    ending = suffixes[-2 if packed and len(suffixes) > 1 else -1] if suffixes else ""
    if not file.is_file() or ending not in ENDINGS:
        return packed and file.is_file() and ending == ".zip"
    return ending not in AMBIGUOUS or split_name(file.name).plain


def _split_folders(folder: Path, folders: Sequence[Path]) -> list[Path]:
    """The folders that are splits; none if all are classes.

    Raises:
        UserError: they could be either.
    """
    names = {entry: split_name(entry.name) for entry in folders}
    plain = [entry for entry in folders if names[entry].plain]
    # `news-train` and `news-test` are splits, `unit-testing` beside `python` is a class.
    compound = [entry for entry in folders if names[entry].split and not names[entry].plain]
    if len({names[entry].others for entry in compound}) == 1 and (len(compound) > 1 or len(folders) == 1):
        plain += compound
    if not plain:
        return []
    whole = all(_is_whole(entry) for entry in plain)
    others = [entry for entry in folders if entry not in plain]
    splits = {names[entry].split for entry in plain}
    if whole and "train" in splits and (len(plain) > 1 or not others):
        return sorted(plain)
    if others and "train" not in splits and not any(_is_whole(entry) for entry in plain):
        return []  # classes, of which one is called like a split
    unclear = ", ".join(entry.name for entry in sorted(plain))
    raise UserError(
        f"data.source: are {unclear} in {folder} splits or classes? For splits write "
        "source: {train: FOLDER, test: FOLDER}, each with a data file or a folder per class; "
        "give the folder of a class another name (data.map_labels gives the class its own again)"
    )


def _is_whole(folder: Path) -> bool:
    """Whether a folder can be a split: it holds a data file, or folders."""
    return any(not is_junk(e.name) and (e.is_dir() or _is_data(e) or _holds_rows(e)) for e in folder.iterdir())


def _by_split(folder: Path, sources: Sequence[Path], notes: tuple[str, ...]) -> Found:
    found: Found = {}
    alone = len(sources) == 1
    for source in sources:
        split = split_name(source.name).split or ("train" if alone else None)
        if split is None or split in found:
            names = ", ".join(entry.name for entry in sources)
            raise UserError(
                f"data.source: which file of {folder} is which split? It has {names}; write {{train: FILE, test: FILE}}"
            )
        found[split] = _rows_of(source)
    if "train" not in found:
        names = ", ".join(entry.name for entry in sources)
        raise UserError(
            f"data.source: no file for train in {folder}; it has {names}; write source: {{train: FILE, test: FILE}}"
        )
    train, own = found["train"]
    found["train"] = (train, (*notes, *own))
    return {split: found[split] for split in SPLITS if split in found}


def _rows_of(source: Path) -> tuple[Path, tuple[str, ...]]:
    """The file or folder with the rows of one split: itself, or the one data file in it."""
    if source.is_file():
        return source, ()
    entries = sorted(entry for entry in source.iterdir() if not is_junk(entry.name))
    files = [entry for entry in entries if _is_data(entry)]
    if len(files) > 1:
        raise UserError(
            f"data.source: {source} holds {len(files):,} data files; write source: {{train: FILE, test: FILE}}"
        )
    if files:
        return files[0], _left_out(source, [entry.name for entry in entries if entry not in files])
    return (source if is_saved(source) else check_classes(source)), ()


def _left_out(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on what is not read in a folder."""
    more = f" and {len(names) - 10:,} more" if len(names) > 10 else ""
    return (f"left out of {folder.name}: {', '.join(names[:10])}{more}",) if names else ()
