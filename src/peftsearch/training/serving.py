"""The latency of a classifier as it is served: one text at a time, as exported, with tokenisation."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.core.measurement import Measurement
from peftsearch.data.base import documents
from peftsearch.methods.base import TextModel
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import text_batch

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from peftsearch.backbones.classifier import Classifier

WARM_UP = 10
"""Texts before the clock counts: the first ones allocate memory and choose kernels."""

TIMED = 100
"""Texts whose time is taken, so that five of them lie above the 95th percentile."""

ASKED = "latency_ms"
"""As `TrialConfig.measure` asks for it."""

Text = TypeVar("Text")

ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Latency:
    """Milliseconds for one text, from the string to its probabilities.

    Attributes:
        p50: the median over the texts.
        p95: the 95th percentile.
    """

    p50: float
    p95: float

    def added_to(self, measurement: Measurement) -> Measurement:
        """The measurement of the trial, with the latency of its classifier."""
        return replace(measurement, latency_ms=self.p95, median_latency_ms=self.p50)


def encoder_latency(
    classifier: Classifier,
    config: TrialConfig,
    tokenizer: PreTrainedTokenizerBase,
    rows: Dataset,
    should_stop: ShouldStop = lambda: False,
) -> Latency:
    """Time a fine-tuned encoder on its own device, in fp32 as an export computes, with torch's present threads.

    What the method adds is merged into a copy of the encoder, where the method can merge it.

    Args:
        classifier: the trained classifier, which stays as it is.
        config: the configuration that it was trained with.
        tokenizer: reads its texts.
        rows: a split; evenly spaced rows of it are timed.
        should_stop: asked before every text.

    Raises:
        Interrupted: `should_stop` said so.
    """
    served = copy.deepcopy(classifier).eval()
    merged = ENCODER_METHODS[config.method].merged(served.encoder)
    served.encoder = (merged or served.encoder).eval()
    device = next(served.parameters()).device

    def label(text: tuple[str, ...]) -> None:
        batch = text_batch(tokenizer, [text], config.max_length)
        logits = served(**{name: tensor.to(device) for name, tensor in batch.items()}).logits
        torch.softmax(logits.float(), dim=-1).tolist()  # which waits for the device

    picked = _evenly_spaced(rows)
    columns = [picked[name] for name in ("text", "pair") if name in picked.column_names]
    texts = list(zip(*columns, strict=True))
    with torch.inference_mode():
        return _timed(label, texts, should_stop)


def text_model_latency(model: TextModel, rows: Dataset, should_stop: ShouldStop = lambda: False) -> Latency:
    """Time a model without a backbone; arguments and errors as in `encoder_latency`."""
    return _timed(lambda text: model.scores([text]), documents(_evenly_spaced(rows)), should_stop)


def _evenly_spaced(rows: Dataset) -> Dataset:
    """As many rows as are timed, or all there are if they are fewer."""
    return rows.select(np.unique(np.linspace(0, len(rows) - 1, TIMED).round().astype(int)))


def _timed(label: Callable[[Text], object], texts: Sequence[Text], should_stop: ShouldStop) -> Latency:
    """Label the texts one after the other, again from the first one if they are too few."""
    seconds = []
    for text in islice(cycle(texts), WARM_UP + TIMED):
        if should_stop():
            raise Interrupted("stopped while the latency was measured")
        started = time.perf_counter()
        label(text)
        seconds.append(time.perf_counter() - started)
    p50, p95 = np.percentile(1000 * np.asarray(seconds[WARM_UP:]), [50, 95]).tolist()
    return Latency(p50, p95)
