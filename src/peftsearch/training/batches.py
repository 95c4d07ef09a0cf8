"""Batches of rows of similar length: their order, and the padding to the longest row of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Sampler

from peftsearch.data.tokens import encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Columns = Mapping[str, NDArray[Any]]
"""A row's columns by name, each with one value for a token."""

Row = tuple[Columns, int]
"""A row's columns, and its label."""

BFLOAT16 = np.dtype(np.uint16)
"""Stands for bfloat16, which NumPy lacks."""

POOL_BATCHES = 50
"""How many batches' rows are sorted by length together. More saves little padding and makes the order less random."""


def length_grouped_order(
    lengths: NDArray[np.int64], batch_size: int, seed: int, pool_batches: int = POOL_BATCHES
) -> NDArray[np.int64]:
    """A permutation of the rows whose consecutive runs of `batch_size` are batches of similar length.

    Rows are shuffled, sorted by length within pools of `pool_batches` batches, cut into batches, and the batches
    shuffled: with pools of one batch, batches are random. A short last batch stays last, because anywhere else it
    would shift the rows of the batches after it.
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(lengths))
    pool = batch_size * pool_batches
    pools = (shuffled[start : start + pool] for start in range(0, len(shuffled), pool))
    rows = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in pools])
    # The short batch's rows are drawn at random: if it always held the longest rows, they would be treated differently.
    short = len(rows) % batch_size
    last = np.sort(random.choice(len(rows), short, replace=False)) if short else np.array([], dtype=np.int64)
    batches = np.delete(rows, last).reshape(-1, batch_size)
    return np.concatenate([batches[random.permutation(len(batches))].ravel(), rows[last]])


def padding_share(lengths: NDArray[np.int64], order: NDArray[np.int64], batch_size: int) -> float:
    """The share of padding, in 0..1, among the tokens of all batches that `order` is cut into."""
    batches = [lengths[order[start : start + batch_size]] for start in range(0, len(order), batch_size)]
    padded = sum(int(batch.max()) * len(batch) for batch in batches)
    return 1.0 - float(lengths.sum()) / padded


class LengthGroupedSampler(Sampler[int]):
    """Draws every row once an epoch, in an order that depends on the seed and the epoch alone."""

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


class PadToLongest:
    """Pads rows on the right to the longest of a batch.

    Every architecture in `FAMILIES` takes padding on the right, whatever its tokenizer says: absolute positions are
    counted from the first token, so padding on the left would move a text by the length of its neighbours.

    Args:
        pad_token: the id that fills `input_ids`; it is masked.
        multiple: what the width is rounded up to a multiple of.
        most: the width that is never exceeded by rounding, because the encoder may have no more positions.
    """

    def __init__(self, pad_token: int, multiple: int = 1, most: int | None = None) -> None:
        self.pad_token = pad_token
        self.multiple = multiple
        self.most = most

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        """The inputs of `rows`, and their `labels` of shape (rows,)."""
        return {**self.inputs([columns for columns, _ in rows]), "labels": torch.tensor([label for _, label in rows])}

    def inputs(self, rows: Sequence[Columns]) -> dict[str, torch.Tensor]:
        """Tensors of shape (rows, width): the columns of `rows`, and the attention mask."""
        lengths = [len(columns["input_ids"]) for columns in rows]
        width = self.width(max(lengths))
        fill = {"input_ids": self.pad_token}
        batch = {name: _pad([columns[name] for columns in rows], width, fill.get(name, 0)) for name in rows[0]}
        batch["attention_mask"] = _pad([np.ones(length, dtype=np.int64) for length in lengths], width, 0)
        return batch

    def width(self, longest: int) -> int:
        """The width of a batch whose longest row has so many tokens."""
        rounded = -(-longest // self.multiple) * self.multiple
        return rounded if self.most is None else max(longest, min(rounded, self.most))


def _pad(values: list[NDArray[Any]], width: int, fill: int) -> torch.Tensor:
    padded = np.full((len(values), width, *values[0].shape[1:]), fill, dtype=values[0].dtype)
    for row, value in zip(padded, values, strict=True):
        row[: len(value)] = value
    tensor = torch.from_numpy(padded)
    return tensor.view(torch.bfloat16).float() if padded.dtype == BFLOAT16 else tensor


def text_batch(
    tokenizer: PreTrainedTokenizerBase, texts: Sequence[tuple[str, ...]], max_length: int
) -> dict[str, torch.Tensor]:
    """The inputs for new texts, or pairs of texts, made exactly as those of a split's rows; on the CPU."""
    first, *second = (list(column) for column in zip(*texts, strict=True))
    columns = encode(tokenizer, first, second[0] if second else None, max_length)
    rows = [dict(zip(columns, map(np.asarray, row), strict=True)) for row in zip(*columns.values(), strict=True)]
    return padding(tokenizer, torch.device("cpu"), max_length).inputs(rows)


def padding(tokenizer: PreTrainedTokenizerBase, device: torch.device, max_length: int) -> PadToLongest:
    """How this tokenizer's rows become batches; on a GPU, of a width that is a multiple of 8, for its tensor cores."""
    return PadToLongest(tokenizer.pad_token_id or 0, 8 if device.type == "cuda" else 1, max_length)
