"""A split's rows with the states of a frozen prefix, read from the cache's file."""

from __future__ import annotations

from dataclasses import dataclass
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from peftsearch.training.batches import Row
from peftsearch.training.rows import TokenRows

_NO_TOKEN = np.zeros(1, dtype=np.int64)


@dataclass(frozen=True)
class Layout:
    """How the states of a split lie in their file: one row after another, without padding.

    Attributes:
        starts: the index of each row's first state, and last the number of all states. Shape (rows + 1,).
        width: numbers in a state.
        dtype: of a number; `BFLOAT16` stands for bfloat16.
        per_token: whether a row has a state for each token, or a single one.
    """

    starts: NDArray[np.int64]
    width: int
    dtype: np.dtype[Any]
    per_token: bool

    @property
    def size(self) -> int:
        """Of the whole file, in bytes."""
        return self.offset(len(self.starts) - 1)

    def offset(self, row: int) -> int:
        """Where a row's states begin, in bytes."""
        return int(self.starts[row]) * self.width * self.dtype.itemsize

    def empty(self, row: int) -> NDArray[Any]:
        """An array that takes a row's states."""
        return np.empty((int(self.starts[row + 1] - self.starts[row]), self.width), dtype=self.dtype)


class StateRows(Dataset[Row]):
    """The rows of `tokens` with the states that a frozen prefix computes from them, read from a file.

    The file is not mapped into memory: its pages would count as this process's memory, and if it were cut short,
    the process would be killed.

    Args:
        states: the file, opened without a buffer; its rows are in the order of the data.
    """

    def __init__(self, tokens: TokenRows, states: FileIO, layout: Layout) -> None:
        self.tokens = tokens
        self.labels, self.lengths, self.order = tokens.labels, tokens.lengths, tokens.order
        self.states = states
        self.layout = layout

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> Row:
        row = int(self.tokens.order[index])
        states = self.layout.empty(row)
        self.states.seek(self.layout.offset(row))
        if self.states.readinto(states.data.cast("B")) != states.nbytes:
            raise OSError(f"{self.states.name!r} ends before row {row}")
        if not self.layout.per_token:
            return {"input_ids": _NO_TOKEN, "states": states}, int(self.labels[row])
        columns, label = self.tokens[index]
        return {**columns, "states": states}, label
