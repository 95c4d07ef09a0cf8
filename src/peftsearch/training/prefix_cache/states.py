"""A frozen prefix computes the same states in every epoch and in every trial: they are computed once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from io import FileIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Dataset
from xxhash import xxh3_128

from peftsearch.backbones.anatomy import anatomy_of
from peftsearch.backbones.classifier import Classifier, FrozenPrefix
from peftsearch.backbones.frozen_prefix import reusable_prefix
from peftsearch.backbones.loading import ResolvedModel
from peftsearch.core.errors import Interrupted
from peftsearch.data.cache import digest
from peftsearch.training.batches import BFLOAT16, PadToLongest, Row, Split, TokenRows
from peftsearch.training.loop.trainer import Rows
from peftsearch.training.meter import PeakMemory, clock, device_name
from peftsearch.training.precision.number_formats import computing
from peftsearch.training.prefix_cache.store import Cost, FeatureStore

FORMAT = 1
"""Of an entry; raise it when what is written under the same key changes."""

NOTHING = Cost()
_NO_TOKEN = np.zeros(1, dtype=np.int64)


class StateRows(Dataset[Row]):
    """The rows of `tokens` with the states that a frozen prefix made of them, read from a file.

    Read and not mapped into memory: pages of a mapped file would count as this process's memory, and a file cut short
    would kill it.

    Args:
        states: the rows in the order of the data, without padding; opened unbuffered.
        layout: how they lie in the file.
    """

    def __init__(self, tokens: TokenRows, states: FileIO, layout: Layout) -> None:
        self.tokens = tokens
        self.labels, self.lengths = tokens.labels, tokens.lengths
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


@dataclass(frozen=True)
class Layout:
    """Rows of states one after another.

    Attributes:
        starts: the first state of each row, and the number of all states.
        width: numbers in a state.
        dtype: of a number.
    """

    starts: NDArray[np.int64]
    width: int
    dtype: np.dtype[Any]
    per_token: bool

    @property
    def size(self) -> int:
        return self.offset(len(self.starts) - 1)

    def offset(self, row: int) -> int:
        """In bytes."""
        return int(self.starts[row]) * self.width * self.dtype.itemsize

    def empty(self, row: int) -> NDArray[Any]:
        return np.empty((int(self.starts[row + 1] - self.starts[row]), self.width), dtype=self.dtype)


@dataclass(frozen=True)
class Source:
    """One split's rows, and what computing their states took.

    Attributes:
        cost: nothing where the prefix is computed in every epoch, as a part of training.
        made: whether this trial has computed them, not an earlier one.
    """

    rows: Split
    cost: Cost = NOTHING
    made: bool = True


@dataclass(frozen=True)
class Reuse:
    """The rows to train on, and where they come from."""

    rows: Rows
    train: Source
    validation: Source

    @property
    def spent(self) -> tuple[float, float]:
        """Seconds that belong to training and to evaluation, whichever trial has spent them."""
        return self.train.cost.seconds, self.validation.cost.seconds

    @property
    def spared_seconds(self) -> float:
        """Of training, spent by an earlier trial."""
        return 0.0 if self.train.made else self.train.cost.seconds

    @property
    def peak_memory_mb(self) -> float:
        return max(self.train.cost.peak_memory_mb, self.validation.cost.peak_memory_mb)


@dataclass(frozen=True)
class Pass:
    """How one pass through a prefix is made.

    Attributes:
        batch: rows of a forward pass.
        memory: read when the states of a split are computed.
        should_stop: asked before each batch.
    """

    device: torch.device
    precision: str
    batch: int
    memory: PeakMemory
    should_stop: Callable[[], bool]


@contextmanager
def reusing_prefix(
    classifier: Classifier,
    rows: Rows,
    resolved: ResolvedModel,
    store: FeatureStore | None,
    how: Pass,
) -> Iterator[Reuse]:
    """Inside, `classifier` also takes rows that hold its prefix's states; those of the result do, where it pays.

    Args:
        store: None to compute everything in every epoch.

    Raises:
        Interrupted: `should_stop` said so.
    """
    # Padded on the left, a text's positions, and so its states, follow from what it is padded to.
    prefix = None if store is None or rows.collate.left else reusable_prefix(classifier)
    if prefix is None or store is None:
        yield Reuse(rows, Source(rows.train), Source(rows.validation))
        return
    place = _place(classifier, prefix, resolved, how)
    classifier.prefix = prefix
    try:
        with ExitStack() as files:
            train = _states(classifier, rows.train, rows.collate, place, store, how, files)
            validation = _states(classifier, rows.validation, rows.collate, place, store, how, files)
            yield Reuse(replace(rows, train=train.rows, validation=validation.rows), train, validation)
    finally:
        classifier.prefix = None


def _states(
    classifier: Classifier,
    rows: Split,
    collate: PadToLongest,
    place: str,
    store: FeatureStore,
    how: Pass,
    files: ExitStack,
) -> Source:
    assert isinstance(rows, TokenRows)
    layout = _layout(classifier, rows, how.precision)
    key = digest(place, rows.fingerprint)
    entry = store.get(key, layout.size, partial(_compute, classifier, rows, collate, layout, how))
    if entry is None:
        return Source(rows)
    return Source(StateRows(rows, files.enter_context(entry.states), layout), entry.cost, entry.made)


def _layout(classifier: Classifier, tokens: TokenRows, precision: str) -> Layout:
    assert classifier.prefix is not None
    per_token = classifier.prefix.per_token
    starts = tokens.starts if per_token else np.arange(len(tokens) + 1)
    # One state a row is small; and fp16 has too little range for the sums that go past the layers.
    dtype = BFLOAT16 if per_token and precision == "bf16" else np.dtype(np.float32)
    return Layout(starts, anatomy_of(classifier.encoder).hidden_size, dtype, per_token)


def _place(classifier: Classifier, prefix: FrozenPrefix, resolved: ResolvedModel, how: Pass) -> str:
    """What decides the states beside the tokens, and what their cost depends on: the device."""
    versions = {name: version(name) for name in ("torch", "transformers")}
    weights = weights_fingerprint(prefix.modules)
    return digest(FORMAT, prefix.name, weights, resolved.config(), versions, how.precision, device_name(how.device))


def weights_fingerprint(modules: tuple[nn.Module, ...]) -> str:
    """Equal for modules with the same tensors under the same names."""
    found = xxh3_128()
    for place, module in enumerate(modules):
        for name, tensor in module.state_dict().items():
            found.update(f"{place} {name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            found.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _compute(
    classifier: Classifier, tokens: TokenRows, collate: PadToLongest, layout: Layout, how: Pass, file: FileIO
) -> Cost:
    """Write the states of all rows."""
    file.truncate(layout.size)
    order = np.argsort(tokens.lengths[tokens.order], kind="stable")
    started = clock(how.device)
    with torch.inference_mode(), computing(how.device, how.precision):
        for start in range(0, len(order), how.batch):
            if how.should_stop():
                raise Interrupted("stopped before the first step")
            picked = order[start : start + how.batch]
            batch = collate([tokens[int(i)] for i in picked])
            batch.pop("labels")
            states = classifier.prefix_states(**{name: tensor.to(how.device) for name, tensor in batch.items()})
            _write(file, tokens.order[picked], _numbers(states, layout), layout)
    return Cost(clock(how.device) - started, how.memory.read())


def _write(file: FileIO, rows: NDArray[np.int64], states: NDArray[Any], layout: Layout) -> None:
    for row, padded in zip(rows.tolist(), states, strict=True):
        length = layout.starts[row + 1] - layout.starts[row]
        file.seek(layout.offset(row))
        file.write(padded[:length].data.cast("B"))


def _numbers(states: torch.Tensor, layout: Layout) -> NDArray[Any]:
    if layout.dtype == BFLOAT16:
        return states.to(torch.bfloat16).cpu().contiguous().view(torch.uint16).numpy()
    return states.float().cpu().contiguous().numpy()
