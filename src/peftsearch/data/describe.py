"""What a person wants to see of the data before training on it. The test split stays sealed: only its size is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from peftsearch.data.base import TextData

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

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
    texts = _texts(data)
    labels = [data.labels[i] for i in data.splits["train"]["label"][:]]
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


@dataclass(frozen=True)
class TokenLengths:
    """Tokens per training row before truncation.

    Attributes:
        percentiles: percentile → tokens, special ones included.
        truncated: share of the rows that are longer than `max_length`, 0..1.
        rows: how many were looked at.
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
    """How long the training texts are for `tokenizer`, from `sample` rows at even distances."""
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


def _texts(data: TextData) -> list[tuple[str, ...]]:
    """The training rows' texts, one or two each."""
    train = data.splits["train"]
    return list(zip(*(train[column][:] for column in ("text", "pair")[: 1 + data.pair]), strict=True))


def _balance(data: TextData, split: str) -> dict[str, int]:
    counts = Counter(data.splits[split]["label"][:])
    return {label: counts[number] for number, label in enumerate(data.labels)}
