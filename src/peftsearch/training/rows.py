"""The rows of a trial's two splits, as tokens in memory."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from peftsearch.core.files.cache_folder import TOKENS
from peftsearch.data.base import TextData
from peftsearch.data.tokens import INPUTS, tokenize
from peftsearch.training.batches import POOL_BATCHES, PadToLongest, Row

if TYPE_CHECKING:
    import datasets
    from transformers import PreTrainedTokenizerBase


class Split(Protocol):
    """The rows of one split, in the order in which they are evaluated.

    Attributes:
        labels: shape (rows,), in the order of the data.
        lengths: tokens of each row, in the order of the data.
        order: the place in the data of each row, in the order in which they are evaluated.
    """

    labels: NDArray[np.int64]
    lengths: NDArray[np.int64]
    order: NDArray[np.int64]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row: ...


class TokenRows(Dataset[Row]):
    """Tokenised rows in flat arrays, from which a row is sliced without a look-up in Arrow.

    Args:
        tokens: a split with the columns `input_ids`, `label` and `length`, and perhaps `token_type_ids`.
        sort: whether `rows[0]` is the shortest row and not the first one.
    """

    def __init__(self, tokens: datasets.Dataset, sort: bool = False) -> None:
        names = [name for name in INPUTS if name in tokens.column_names]
        self.labels = np.asarray(tokens["label"], dtype=np.int64)
        self.lengths = np.asarray(tokens["length"], dtype=np.int64)
        self.flat = {name: _flatten(tokens, name) for name in names}
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        self.order = np.argsort(self.lengths, kind="stable") if sort else np.arange(len(self.labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Row:
        row = self.order[index]
        span = slice(self.starts[row], self.starts[row + 1])
        return {name: values[span] for name, values in self.flat.items()}, int(self.labels[row])

    def picked(self, rows: NDArray[np.int64]) -> TokenRows:
        """The rows at these places of the data, in this order; a row may be among them several times."""
        found = copy(self)
        found.__dict__.pop("fingerprint", None)
        found.labels, found.lengths, found.order = self.labels[rows], self.lengths[rows], np.arange(len(rows))
        tokens = np.concatenate([np.arange(self.starts[row], self.starts[row + 1]) for row in rows])
        found.flat = {name: values[tokens] for name, values in self.flat.items()}
        found.starts = np.concatenate([[0], np.cumsum(found.lengths)])
        return found

    @cached_property
    def fingerprint(self) -> str:
        """The same for two splits exactly if they hold the same tokens in the same rows."""
        from xxhash import xxh3_128

        found = xxh3_128(self.lengths.data)
        for name, values in sorted(self.flat.items()):
            found.update(name.encode())
            found.update(values.data)
        return found.hexdigest()


@dataclass(frozen=True)
class TrialRows:
    """The two splits that a trial may see, how their rows become batches, and the names of their classes.

    Attributes:
        pool_batches: how many batches' training rows are sorted by length together; with 1, batches are random.
    """

    train: Split
    validation: Split
    collate: PadToLongest
    labels: tuple[str, ...]
    pool_batches: int = POOL_BATCHES


_KEPT_SPLITS = 8
_splits: dict[tuple[object, ...], TokenRows] = {}
"""The splits that this process has read last, so that a worker reads them from disk once for many trials."""


def token_rows(
    data: TextData, split: str, tokenizer: PreTrainedTokenizerBase, max_length: int, cache: Path
) -> TokenRows:
    """One split's tokens; a split to evaluate on is sorted by length.

    Args:
        max_length: tokens of a row after truncation.
        cache: the folder that holds the folder of the tokenised splits.
    """
    key = (data.fingerprint, split, tokenizer.name_or_path, max_length)
    if key not in _splits:
        while len(_splits) >= _KEPT_SPLITS:
            del _splits[next(iter(_splits))]
        _splits[key] = TokenRows(tokenize(data, split, tokenizer, max_length, cache / TOKENS), sort=split != "train")
    return _splits[key]


def _flatten(tokens: datasets.Dataset, name: str) -> NDArray[np.int64]:
    """The values of all rows one after another."""
    column: Any = tokens.with_format("arrow")[:][name]
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(chunks).astype(np.int64) if chunks else np.array([], dtype=np.int64)
