"""Folders that `save_to_disk` of 🤗 Datasets wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError, one_line
from peftsearch.data.base import Table
from peftsearch.data.split_names import assign_splits

if TYPE_CHECKING:
    from collections.abc import Collection

    from datasets import Dataset


def is_saved(folder: Path) -> bool:
    """Whether `save_to_disk` wrote the folder: a `Dataset` or a `DatasetDict`."""
    return (folder / "dataset_dict.json").is_file() or _is_one(folder)


def saved_splits(folder: Path) -> dict[str, tuple[Path, tuple[str, ...]]]:
    """The folder of each split of a saved data set, and notes.

    Raises:
        UserError: there is no training split, or several folders are the same split.
    """
    if _is_one(folder):
        return {"train": (folder, ())}
    names = sorted(entry.name for entry in folder.iterdir() if _is_one(entry))
    splits = assign_splits(names)
    if "train" not in splits.chosen or splits.rivals:
        raise UserError(
            f"data.source: {folder} holds the splits {', '.join(names)}; say which is which: "
            f"source: {{train: {folder / 'NAME'}, test: {folder / 'NAME'}}}"
        )
    return {split: (folder / name, splits.notes if split == "train" else ()) for split, name in splits.chosen.items()}


def read_saved(folder: Path, wanted: Collection[str]) -> Table:
    """The rows of one saved split.

    Raises:
        UserError: the folder is damaged.
    """
    import datasets

    try:
        dataset = datasets.load_from_disk(str(folder))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"data.source: {folder.name}, written by save_to_disk, is damaged: {one_line(error)}"
        ) from error
    return table_of(folder.name, dataset, wanted)


def table_of(name: str, dataset: Dataset, wanted: Collection[str], notes: tuple[str, ...] = ()) -> Table:
    """The rows of a 🤗 data set. Columns that nobody wants are named only."""
    columns = {column: dataset[column][:] if column in wanted else () for column in dataset.column_names}
    names = {key: f.names for key, f in dataset.features.items() if type(f).__name__ == "ClassLabel"}
    return Table(name, columns, names, notes)


def _is_one(folder: Path) -> bool:
    return (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
