"""The names that people give to the splits of a data set, in files, folders, archives and on the hub."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from peftsearch.data.base import SPLITS

WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("validation", "validate", "validating", "valid", "val", "dev", "devel", "develop", "development",
                     "eval", "evaluate", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "tst"), "test"),
}  # fmt: skip

ATTACHED = ("set", "sets", "data", "dataset", "split", "part", "file", "files", "corpus")
"""Words that are also written together with a split's name, as in `trainset`."""

MEANINGLESS = {*ATTACHED, "matched", "mismatched", "labels", "labeled", "labelled", "raw", "clean", "full", "all",
               "final", "texts", "text", "txt", "json", "jsonl", "ndjson", "csv", "tsv", "parquet", "arrow", "gz",
               "bz2", "xz", "zip", "of", ""}  # fmt: skip
"""Words beside a split's name that say nothing about a class."""


@dataclass(frozen=True)
class SplitName:
    """What a name says about a split.

    Attributes:
        split: the split that it names; None if it names none, or several.
        others: the words that are not about a split.
    """

    split: str | None
    others: tuple[str, ...]

    @property
    def plain(self) -> bool:
        """Whether it names a split and nothing else: `Train`, `test_data`, but not `unit-testing`."""
        return self.split is not None and not self.others


def split_name(name: str) -> SplitName:
    """What a file's, a folder's or a hub split's name says.

    >>> split_name("20news-bydate-train"), split_name("validationMatched").split, split_name("train_test").split
    (SplitName(split='train', others=('news', 'bydate')), 'validation', None)
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = [re.sub(r"\d+", "", word) for word in re.split(r"[\W_]+", spaced.lower())]
    found = [WORDS.get(word) or WORDS.get(re.sub(rf"({'|'.join(ATTACHED)})$", "", word)) for word in words]
    splits = {split for split in found if split}
    others = tuple(word for word, split in zip(words, found, strict=True) if not split and word not in MEANINGLESS)
    return SplitName(splits.pop() if len(splits) == 1 else None, others)


@dataclass(frozen=True)
class Assignment:
    """Which of a data set's own splits are train, validation and test.

    Attributes:
        chosen: the name that the data set gives to each split that it has.
        rivals: names of which several mean the same split, by split.
        unused: names that are no split, or for which there is a better one.
    """

    chosen: dict[str, str]
    rivals: dict[str, list[str]]
    unused: list[str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know: splits with other names, and splits that are left out."""
        renamed = [f"the split {name} is taken as {split}" for split, name in self.chosen.items() if name != split]
        return (*renamed, *([f"left out: the split {', '.join(self.unused)}"] if self.unused else []))


def assign_splits(names: Sequence[str]) -> Assignment:
    """Find the splits among the names that a data set gives to its own. A split's exact name goes before others."""
    chosen, rivals = {}, {}
    for split in SPLITS:
        candidates = [name for name in names if name == split] or [n for n in names if split_name(n).split == split]
        if len(candidates) == 1:
            chosen[split] = candidates[0]
        elif candidates:
            rivals[split] = candidates
    used = {*chosen.values(), *(name for candidates in rivals.values() for name in candidates)}
    return Assignment(chosen, rivals, [name for name in names if name not in used])
