"""The frozen-prefix cache: what the frozen first layers compute is computed once, for all epochs and all trials."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import FileIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from xxhash import xxh3_128

from peftsearch.backbones.anatomy import anatomy_of
from peftsearch.backbones.classifier import Classifier, FrozenPrefix
from peftsearch.backbones.frozen_prefix import reusable_prefix
from peftsearch.backbones.loading import ResolvedModel
from peftsearch.core.errors import Interrupted
from peftsearch.core.versions import installed_versions
from peftsearch.data.cache import digest
from peftsearch.training.batches import BFLOAT16, PadToLongest
from peftsearch.training.compute import Compute
from peftsearch.training.meter import PeakMemory, Seconds, clock, device_name
from peftsearch.training.precision.number_formats import in_number_format
from peftsearch.training.prefix_cache.state_rows import Layout, StateRows
from peftsearch.training.prefix_cache.store import Cost, PrefixStore
from peftsearch.training.rows import Split, TokenRows, TrialRows

FORMAT = 2
"""The version of an entry's format; raise it when another entry, or another cost, would be written under its key."""

NO_COST = Cost()


@dataclass(frozen=True)
class CachedSplit:
    """One split's rows, and what computing their states took.

    Attributes:
        rows: with the prefix's states where the cache has room for them, else tokens.
        cost: zero where the prefix is computed in every epoch, as a part of training.
        computed_now: whether this trial has computed the states, and not an earlier one.
    """

    rows: Split
    cost: Cost = NO_COST
    computed_now: bool = True

    @property
    def seconds(self) -> Seconds:
        return Seconds(self.cost.seconds, self.cost.wall_seconds)


@dataclass(frozen=True)
class CachedRows:
    """The rows to train on, and what the cache knows about each split."""

    rows: TrialRows
    train: CachedSplit
    validation: CachedSplit

    @property
    def prefix_seconds(self) -> tuple[Seconds, Seconds]:
        """What computing the prefix of the training and of the validation rows took, in whichever trial."""
        return self.train.seconds, self.validation.seconds

    @property
    def saved_wall_seconds(self) -> float:
        """The part of the training's prefix seconds, by the wall clock, that an earlier trial has spent."""
        return 0.0 if self.train.computed_now else self.train.cost.wall_seconds

    @property
    def peak_memory_mb(self) -> float:
        return max(self.train.cost.peak_memory_mb, self.validation.cost.peak_memory_mb)


@dataclass(frozen=True)
class PrefixPass:
    """How a prefix's states are computed.

    Attributes:
        memory: read when the states of a split are computed.
        should_stop: asked before each batch.
    """

    compute: Compute
    memory: PeakMemory
    should_stop: Callable[[], bool]


@contextmanager
def cached_prefix(
    classifier: Classifier, rows: TrialRows, resolved: ResolvedModel, store: PrefixStore | None, how: PrefixPass
) -> Iterator[CachedRows]:
    """Compute or read the states of the frozen prefix; inside, `classifier` takes rows that hold them.

    Args:
        store: None to compute the prefix in every epoch.

    Raises:
        Interrupted: `should_stop` said so.
    """
    prefix = None if store is None else reusable_prefix(classifier)
    if prefix is None or store is None:
        yield CachedRows(rows, CachedSplit(rows.train), CachedSplit(rows.validation))
        return
    place = _place(classifier, prefix, resolved, how)
    classifier.prefix = prefix
    try:
        with ExitStack() as files:
            train = _states(classifier, rows.train, rows.collate, place, store, how, files)
            validation = _states(classifier, rows.validation, rows.collate, place, store, how, files)
            yield CachedRows(replace(rows, train=train.rows, validation=validation.rows), train, validation)
    finally:
        classifier.prefix = None


def _states(
    classifier: Classifier,
    rows: Split,
    collate: PadToLongest,
    place: str,
    store: PrefixStore,
    how: PrefixPass,
    files: ExitStack,
) -> CachedSplit:
    assert isinstance(rows, TokenRows)
    layout = layout_of(classifier, rows, how.compute.precision)
    key = digest(place, rows.fingerprint)
    entry = store.get(key, layout.size, partial(compute_states, classifier, rows, collate, layout, how))
    if entry is None:
        return CachedSplit(rows)
    return CachedSplit(StateRows(rows, files.enter_context(entry.states), layout), entry.cost, entry.made)


def layout_of(classifier: Classifier, tokens: TokenRows, precision: str) -> Layout:
    """How the states of these rows lie in a file, for a classifier that has a prefix."""
    assert classifier.prefix is not None
    per_token = classifier.prefix.per_token
    starts = tokens.starts if per_token else np.arange(len(tokens) + 1)
    # A single state for a row is small anyway; and fp16 has too little range for the residual stream.
    dtype = BFLOAT16 if per_token and precision == "bf16" else np.dtype(np.float32)
    return Layout(starts, anatomy_of(classifier.encoder).hidden_size, dtype, per_token)


def _place(classifier: Classifier, prefix: FrozenPrefix, resolved: ResolvedModel, how: PrefixPass) -> str:
    """A key for all that decides the states but the tokens, and for the device, which decides what they cost."""
    versions = installed_versions(("torch", "transformers"))
    weights, compute = weights_fingerprint(prefix.modules), how.compute
    return digest(
        FORMAT, prefix.name, weights, resolved.config(), versions, compute.precision, device_name(compute.device)
    )


def weights_fingerprint(modules: tuple[nn.Module, ...]) -> str:
    """The same for modules that hold the same tensors under the same names."""
    return tensors_fingerprint(
        (f"{place} {name}", tensor)
        for place, module in enumerate(modules)
        for name, tensor in module.state_dict().items()
    )


def tensors_fingerprint(named: Iterable[tuple[str, torch.Tensor]]) -> str:
    """The same for equal tensors under equal names."""
    found = xxh3_128()
    for name, tensor in named:
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def compute_states(
    classifier: Classifier, tokens: TokenRows, collate: PadToLongest, layout: Layout, how: PrefixPass, file: FileIO
) -> Cost:
    """Compute the states of all rows and write them to `file`."""
    file.truncate(layout.size)
    order = np.argsort(tokens.lengths[tokens.order], kind="stable")
    device, size = how.compute.device, how.compute.evaluation_batch
    started = clock(device)
    with torch.inference_mode(), in_number_format(device, how.compute.precision):
        for start in range(0, len(order), size):
            if how.should_stop():
                raise Interrupted("stopped before the first step")
            picked = order[start : start + size]
            batch = collate.inputs([tokens[int(i)][0] for i in picked])
            states = classifier.prefix_states(**{name: tensor.to(device) for name, tensor in batch.items()})
            _write(file, tokens.order[picked], _to_numpy(states, layout), layout)
    took = clock(device) - started
    return Cost(took.seconds, how.memory.read(), took.wall)


def _write(file: FileIO, rows: NDArray[np.int64], states: NDArray[Any], layout: Layout) -> None:
    for row, padded in zip(rows.tolist(), states, strict=True):
        length = layout.starts[row + 1] - layout.starts[row]
        file.seek(layout.offset(row))
        content = padded[:length].data.cast("B")
        if file.write(content) != content.nbytes:  # a file without a buffer writes what there is room for
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)


def _to_numpy(states: torch.Tensor, layout: Layout) -> NDArray[Any]:
    if layout.dtype == BFLOAT16:
        return states.to(torch.bfloat16).cpu().contiguous().view(torch.uint16).numpy()
    return states.float().cpu().contiguous().numpy()
