"""Says where prepared data differ from others of which only a short account is left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from peftsearch.data.base import SPLITS, TextData

if TYPE_CHECKING:
    from datasets import Dataset

BLOCKS = 512
"""Parts of a split whose hashes are kept, so that an account takes a few kilobytes however many rows there are."""

DIGITS = 4
"""Hexadecimal digits of each part's hash. The fingerprint says whether data differ; these only say where."""


@dataclass(frozen=True)
class SplitAccount:
    """The rows of a split, and the hashes of its parts, `DIGITS` each, one after another."""

    rows: int
    hashes: str

    @property
    def step(self) -> int:
        """The rows of each part but the last."""
        return -(-self.rows // BLOCKS)

    @classmethod
    def of(cls, split: Dataset) -> Self:
        rows = len(split)
        return cls(rows, "".join(_hashes(split, -(-rows // BLOCKS))))

    def first_other(self, split: Dataset) -> tuple[int, int] | None:
        """The first and the last of the rows, counted from 1, of which one is the first that `split` has otherwise.

        Returns:
            None if one of them only goes on where the other one ends, and where hashes are the same by chance.
        """
        shared = split.select(range(min(self.rows, len(split))))
        kept = [self.hashes[place : place + DIGITS] for place in range(0, len(self.hashes), DIGITS)]
        for part, found in enumerate(_hashes(shared, self.step)):
            first, last = part * self.step + 1, min((part + 1) * self.step, len(shared))
            whole = last == (part + 1) * self.step or last == self.rows
            if whole and found != kept[part]:
                return first, last
        return None


@dataclass(frozen=True)
class DataAccount:
    """What is kept of prepared data to tell it from other data. No text can be read from it.

    Attributes:
        fingerprint: `TextData.fingerprint`.
        classes: how many there are.
        splits: by name.
        names: a hash of the names of the classes, and one of the same in alphabetical order; empty in a study of an
            earlier version.
    """

    fingerprint: str
    classes: int
    splits: Mapping[str, SplitAccount]
    names: str = ""

    @classmethod
    def of(cls, data: TextData) -> Self:
        splits = {split: SplitAccount.of(data.splits[split]) for split in SPLITS}
        return cls(data.fingerprint, len(data.labels), splits, _of_names(data.labels))

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        splits = {name: SplitAccount(**split) for name, split in written["splits"].items()}
        return cls(written["fingerprint"], written["classes"], splits, written.get("names", ""))

    def difference(self, data: TextData) -> str:
        """What `data` has otherwise, in words; `data` is there now, and this is an account of what was there then."""
        found = [words for split in SPLITS for words in _differences(split, self.splits[split], data.splits[split])]
        if self.classes != len(data.labels):
            found.insert(0, f"{self.classes} classes then, {len(data.labels)} now")
        elif self.names and self.names != (names := _of_names(data.labels)):
            same = self.names[DIGITS:] == names[DIGITS:]
            found.insert(0, f"the classes have other {'places' if same else 'names'} now")
        return "; ".join(found) or f"fingerprint {self.fingerprint} then, {data.fingerprint} now"


def _of_names(labels: Sequence[str]) -> str:
    return _hash(labels) + _hash(sorted(labels))


def _differences(split: str, then: SplitAccount, now: Dataset) -> Iterator[str]:
    if then.rows != len(now):
        yield f"{split} had {then.rows:,} rows then and has {len(now):,} now"
    if (other := then.first_other(now)) is not None:
        first, last = other
        where = f"row {first:,}" if first == last else f"one of the rows {first:,} to {last:,}"
        yield f"the first other row of {split} is {where}"


def _hashes(split: Dataset, step: int) -> Iterator[str]:
    """The hash of each part of `step` rows."""
    columns = [split[name][:] for name in split.column_names]
    for start in range(0, len(split), step or 1):
        part = [column[start : start + step] for column in columns]
        yield _hash(part)


def _hash(found: object) -> str:
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()[:DIGITS]
