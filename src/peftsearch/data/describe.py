"""What a person wants to see of the data before training on it. The test split stays sealed: only its size is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from peftsearch.data.base import TextData

PERCENTILES = (5, 50, 95, 100)


@dataclass(frozen=True)
class Description:
    """A summary of `TextData`.

    Attributes:
        rows: split → rows.
        classes: train and validation → class → rows, in the order of the labels.
        characters: percentile of the training texts (a pair's together) → characters.
        examples: the first training row of some classes: label, and one or two texts.
    """

    rows: Mapping[str, int]
    classes: Mapping[str, Mapping[str, int]]
    characters: Mapping[int, int]
    examples: tuple[tuple[str, ...], ...]
    fingerprint: str
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)


def describe(data: TextData, examples: int = 3) -> Description:
    """Sizes, class balance, lengths and a few rows."""
    train = data.splits["train"]
    texts = list(zip(*(train[column][:] for column in ("text", "pair") if column in train.column_names), strict=True))
    labels = [data.labels[i] for i in train["label"][:]]
    first = {label: row for row, label in reversed(list(enumerate(labels)))}
    lengths = np.percentile([sum(map(len, row)) for row in texts], PERCENTILES)
    return Description(
        rows={split: len(rows) for split, rows in data.splits.items()},
        classes={split: _balance(data, split) for split in ("train", "validation")},
        characters={percentile: round(value) for percentile, value in zip(PERCENTILES, lengths, strict=True)},
        examples=tuple((label, *texts[first[label]]) for label in data.labels[:examples]),
        fingerprint=data.fingerprint,
        notes=data.notes,
    )


def _balance(data: TextData, split: str) -> dict[str, int]:
    counts = Counter(data.splits[split]["label"][:])
    return {label: counts[number] for number, label in enumerate(data.labels)}
