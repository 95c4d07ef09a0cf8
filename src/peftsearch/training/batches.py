"""Batches of similar length: the order of rows, the rows themselves, and padding to the longest of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

if TYPE_CHECKING:
    import datasets

Row = tuple[dict[str, NDArray[Any]], int]

BFLOAT16 = np.dtype(np.uint16)
"""Stands for bfloat16, which NumPy lacks."""

POOL_BATCHES = 50
"""Batches whose rows are sorted by length together. More saves little padding and makes the order less random."""


def length_grouped_order(
    lengths: NDArray[np.int64], batch_size: int, seed: int, pool_batches: int = POOL_BATCHES
) -> NDArray[np.int64]:
    """A permutation of the rows whose consecutive runs of `batch_size` are batches of similar length.

    Rows are shuffled, sorted by length within pools of `pool_batches` batches, cut into batches, and the batches
    shuffled: with pools of one batch, batches are random. A short last batch stays last, so that the runs of every
    other batch are not moved.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(lengths))
    pool = batch_size * pool_batches
    pools = (shuffled[start : start + pool] for start in range(0, len(shuffled), pool))
    rows = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools])
    # The rows of the short batch are drawn at random: always cutting off the longest ones would set them apart.
    short = len(rows) % batch_size
    last = np.sort(random.choice(len(rows), short, replace=False)) if short else np.array([], dtype=np.int64)
    batches = np.delete(rows, last).reshape(-1, batch_size)
    return np.concatenate([batches[random.permutation(len(batches))].ravel(), rows[last]])


def padding_share(lengths: NDArray[np.int64], order: NDArray[np.int64], batch_size: int) -> float:
    """Share of the tokens that is padding when `order` is cut into batches padded to their longest row; 0..1."""
    batches = [lengths[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
    padded = sum(int(batch.max()) * len(batch) for batch in batches)
    return 1.0 - float(lengths.sum()) / padded


class LengthGroupedSampler(Sampler[int]):
    """Every row once an epoch; another order each epoch, the same one for the same seed."""

    def __init__(
        self, lengths: NDArray[np.int64], batch_size: int, seed: int, pool_batches: int = POOL_BATCHES
    ) -> None:
        self.lengths = lengths
        self.batch_size = batch_size
        self.seed = seed
        self.pool_batches = pool_batches
        self.epoch = 0

    def __len__(self) -> int:
        return len(self.lengths)

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = length_grouped_order(self.lengths, self.batch_size, self.seed + self.epoch, self.pool_batches)
        return iter(order.tolist())


class Split(Protocol):
    """The rows of one split: `split[i]` is its columns by name, one value a token each, and its label.

    Attributes:
        labels: shape (rows,), in the order of the data.
        lengths: tokens of each row, in the order of the data.
    """

    labels: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row: ...


class TokenRows(Dataset[Row]):
    """Tokenised rows as flat arrays: a row is two slices, not an Arrow lookup.

    `rows[i]` is its token columns by name, each of shape (tokens,), and its label.
    """

    def __init__(self, tokens: datasets.Dataset, sort: bool = False) -> None:
        names = [name for name in ("input_ids", "token_type_ids") if name in tokens.column_names]
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

    @cached_property
    def fingerprint(self) -> str:
        """Equal for splits with the same tokens in the same rows."""
        from xxhash import xxh3_128

        found = xxh3_128(self.lengths.data)
        for name, values in sorted(self.flat.items()):
            found.update(name.encode())
            found.update(values.data)
        return found.hexdigest()


class PadToLongest:
    """Collates rows into tensors of shape (rows, longest), with an attention mask and `labels` of shape (rows,)."""

    def __init__(self, pad_token: int, padding_side: str = "right", multiple: int = 1) -> None:
        self.pad_token = pad_token
        self.left = padding_side == "left"
        self.multiple = multiple

    def __call__(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        lengths = [len(columns["input_ids"]) for columns, _ in rows]
        width = -(-max(lengths) // self.multiple) * self.multiple
        fill = {"input_ids": self.pad_token}
        batch = {
            name: self._pad([columns[name] for columns, _ in rows], width, fill.get(name, 0)) for name in rows[0][0]
        }
        batch["attention_mask"] = self._pad([np.ones(length, dtype=np.int64) for length in lengths], width, 0)
        batch["labels"] = torch.tensor([label for _, label in rows])
        return batch

    def _pad(self, values: list[NDArray[Any]], width: int, fill: int) -> torch.Tensor:
        padded = np.full((len(values), width, *values[0].shape[1:]), fill, dtype=values[0].dtype)
        for row, value in zip(padded, values, strict=True):
            row[width - len(value) if self.left else 0 :][: len(value)] = value
        tensor = torch.from_numpy(padded)
        return tensor.view(torch.bfloat16).float() if padded.dtype == BFLOAT16 else tensor


def _flatten(tokens: datasets.Dataset, name: str) -> NDArray[np.int64]:
    column: Any = tokens.data.column(name) if tokens._indices is None else tokens.with_format("arrow")[:][name]
    chunks = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    return np.concatenate(chunks).astype(np.int64) if chunks else np.array([], dtype=np.int64)
