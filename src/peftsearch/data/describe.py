"""A summary of the data for a person who is about to train on it. The test split stays sealed but for its size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from peftsearch.core.errors import shown
from peftsearch.data.base import TextData
from peftsearch.data.labels import count_rows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

PERCENTILES = (5, 50, 95, 100)

COARSE = 0.02
"""A difference in macro F1 that a reader would take for one between trials."""


@dataclass(frozen=True)
class Description:
    """A summary of `TextData`.

    Attributes:
        rows: the number of rows of each split.
        classes: the number of rows of each class, in the order of the labels, for train and validation.
        characters: percentiles of the training texts' lengths in characters; the texts of a pair count together.
        examples: the first training row of some classes: its label, and one or two texts.
        fingerprint: as in `TextData`.
        notes: as in `TextData`.
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


def describe_data(data: TextData, examples: int = 3) -> Description:
    """Summarise sizes, class balance, text lengths and a few rows.

    Args:
        examples: how many classes to show a row of.
    """
    texts = _texts(data)
    labels = [data.labels[i] for i in data.splits["train"]["label"][:]]
    first = {label: row for row, label in reversed(list(enumerate(labels)))}
    lengths = np.percentile([sum(map(len, row)) for row in texts], PERCENTILES)
    return Description(
        rows={split: len(rows) for split, rows in data.splits.items()},
        classes={split: classes_of(data, split) for split in ("train", "validation")},
        characters={percentile: round(value) for percentile, value in zip(PERCENTILES, lengths, strict=True)},
        examples=tuple((label, *texts[first[label]]) for label in data.labels[:examples]),
        fingerprint=data.fingerprint,
        notes=data.notes,
    )


@dataclass(frozen=True)
class TokenLengths:
    """The lengths of training rows in tokens, before truncation.

    Attributes:
        percentiles: percentiles of the lengths, special tokens included.
        truncated: share of the rows that are longer than `max_length`, 0..1.
        max_length: tokens to which a row is truncated.
        rows: how many rows were tokenised.
    """

    percentiles: Mapping[int, int]
    truncated: float
    max_length: int
    rows: int

    def to_dict(self) -> dict[str, Any]:
        """JSON data."""
        return asdict(self)


def token_lengths(
    data: TextData, tokenizer: PreTrainedTokenizerBase, max_length: int, sample: int = 20_000
) -> TokenLengths:
    """Tokenise at most about `sample` training rows, spread evenly over the split, and summarise their lengths."""
    texts = _texts(data)
    columns = [list(column) for column in zip(*texts[:: max(1, len(texts) // sample)], strict=True)]
    # Without `verbose=False` transformers warns that an untruncated text is too long for the model.
    lengths = [len(ids) for ids in tokenizer(*columns, truncation=False, verbose=False)["input_ids"]]
    percentiles = zip(PERCENTILES, np.percentile(lengths, PERCENTILES), strict=True)
    return TokenLengths(
        {percentile: round(value) for percentile, value in percentiles},
        sum(length > max_length for length in lengths) / len(lengths),
        max_length,
        len(lengths),
    )


def classes_of(data: TextData, split: str) -> dict[str, int]:
    """The number of rows of each class in a split, in the order of the labels."""
    counts = Counter(data.splits[split]["label"][:])
    return {label: counts[number] for number, label in enumerate(data.labels)}


def coarse_selection(data: TextData) -> list[str]:
    """A note where so few rows of a class validate that one of them moves macro F1 by `COARSE` or more."""
    counts = classes_of(data, "validation")
    label, rows = min(((label, rows) for label, rows in counts.items() if rows), key=lambda item: item[1])
    moved = 1 / (len(counts) * rows)
    if moved < COARSE:
        return []
    return [
        f"validation has {count_rows(sum(counts.values()))}, {rows:,} of {shown(label)}: one of these moves macro F1 "
        f"by about {moved:.2f}, so smaller differences between trials say little"
    ]


def _texts(data: TextData) -> list[tuple[str, ...]]:
    """The training rows' texts, one or two a row."""
    train = data.splits["train"]
    return list(zip(*(train[column][:] for column in ("text", "pair")[: 1 + data.pair]), strict=True))
