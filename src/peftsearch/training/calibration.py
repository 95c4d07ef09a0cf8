"""A short piece of a study's own work, timed: what it takes on two kinds of device says how their seconds compare.

It is the same on each device: the rows of one batch of the training split, in the middle by its tokens, are trained on
and passed through again and again. Nothing of it is kept, and no trial is charged with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from peftsearch.backbones.loading import resolve, tokenizer_of
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted, TrialFailure
from peftsearch.core.seconds import Timed, timed_in
from peftsearch.data.base import TextData, documents
from peftsearch.methods.base import TextMethod
from peftsearch.methods.hyperparameters import Settings
from peftsearch.methods.table import METHODS
from peftsearch.training.attempt import new_classifier
from peftsearch.training.batches import length_grouped_order
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.loop.loss import training_loss
from peftsearch.training.meter import clock, clock_of, device_name, is_out_of_memory
from peftsearch.training.precision.number_formats import in_number_format
from peftsearch.training.retiming.steps import steps_of
from peftsearch.training.retiming.stopwatch import step_seconds
from peftsearch.training.rows import TokenRows, TrialRows
from peftsearch.training.text_trial import CPU, THREADS
from peftsearch.training.trial import micro_batch_sizes, number_format, trial_rows

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier

WARM_UP = 1
"""How often a piece is done before it is timed: the first time kernels are chosen, and memory is taken."""

REPEATS = {"cpu": 5, "cuda": 30}
"""How often it is timed. A step of a small encoder takes a tenth of a second on a CPU, and milliseconds on a GPU."""

MOST_TOKENS = 4_096
"""The rows of a batch are fewer where they would have more tokens: one CPU thread trains MiniLM on these in 1 s."""

TEXTS = 500
"""So many training rows at most are fitted to, where there is no encoder."""

Ask = Callable[[], bool]


def encoder_seconds_are(device: str, *, exact: bool) -> str:
    """The kind of the seconds (`core.seconds.timed_in`) of trials that this process trains on `device`."""
    on = chosen_device(device)
    return timed_in(clock_of(on), device_name(on), exact=exact)


def text_seconds_are(*, exact: bool) -> str:
    """The same of trials without an encoder."""
    return timed_in(clock_of(CPU), device_name(CPU, THREADS), exact=exact)


def time_encoder(
    config: TrialConfig,
    data: TextData,
    *,
    cache: Path,
    device: str = "auto",
    exact: bool = False,
    should_stop: Ask = lambda: False,
) -> Timed:
    """What a training step of a trial takes, and a pass of its rows without gradients.

    Args:
        config: of the trial.
        cache: folder of the tokenised splits.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        exact: whether trials do without the speed-ups that change results.
        should_stop: asked after every step and before every pass.

    Raises:
        Interrupted: `should_stop` said so.
        RuntimeError: the memory is too small even for single rows, among other reasons that torch has.
    """
    resolved, on = resolve(config.backbone, config.revision, config.trust_remote_code), chosen_device(device)
    rows = trial_rows(config, data, tokenizer_of(config, resolved), on, cache, exact)
    places = middle_batch(rows, config)
    precision = number_format(config, resolved, rows, on, exact)
    config = replace(config, training=replace(config.training, batch_size=len(places)))
    pieces, passes = len(rows.train.lengths) / len(places), METHODS[config.method].passes(config.settings, 1)
    for micro_batch in micro_batch_sizes(len(places)):
        compute = Compute(on, precision, micro_batch)
        classifier = new_classifier(config, resolved, len(rows.labels)).to(on)
        piece = Piece(classifier, config, rows, places, compute, should_stop)
        try:
            step, (evaluation, wall) = piece.step(), piece.evaluation()
            return Timed(step, evaluation, wall * pieces * (step / passes if passes > 1 else evaluation))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
    raise TrialFailure("out_of_memory", f"one row does not fit on {device_name(on)}")


def time_texts(method: TextMethod, settings: Settings, data: TextData, *, should_stop: Ask = lambda: False) -> Timed:
    """What fitting a method to some of the texts takes, and what labelling them does; arguments as above."""
    train = data.splits["train"]
    rows = train.select(range(0, len(train), -(-len(train) // TEXTS)))  # from everywhere, so that no class is missing
    texts, labels = documents(rows), np.asarray(rows["label"])
    taken: list[tuple[float, float]] = []
    for _ in range(WARM_UP + REPEATS["cpu"]):
        if should_stop():
            raise Interrupted("stopped while the device was timed")
        started = clock(CPU)
        model = method.fit(texts, labels, len(data.labels), settings)
        fitted = clock(CPU)
        model.scores(texts)
        taken.append(((fitted - started).seconds, (clock(CPU) - fitted).seconds))
    fit, label = zip(*taken[WARM_UP:], strict=True)
    return Timed(median(fit), median(label))


def middle_batch(rows: TrialRows, config: TrialConfig) -> NDArray[np.int64]:
    """The places of the training rows of one whole step, in the middle by its tokens; the same on every device."""
    lengths, training = rows.train.lengths, config.training
    size = min(training.batch_size, len(lengths))
    order = length_grouped_order(lengths, size, training.seed, rows.pool_batches)
    steps = sorted(steps_of(order, lengths, size, size), key=lambda step: step.tokens)
    whole = [step for step in steps if len(step.rows) == size]
    chosen = whole[len(whole) // 2]
    return chosen.rows[: max(1, MOST_TOKENS * size // chosen.tokens)]


@dataclass(frozen=True)
class Piece:
    """A classifier, and the places of the training rows that it is timed with."""

    classifier: Classifier
    config: TrialConfig
    rows: TrialRows
    places: NDArray[np.int64]
    compute: Compute
    should_stop: Ask

    @property
    def repeats(self) -> int:
        return WARM_UP + REPEATS["cuda" if self.compute.device.type == "cuda" else "cpu"]

    def step(self) -> float:
        """The median seconds of a training step, as the Trainer makes it."""
        assert isinstance(self.rows.train, TokenRows)
        picked = self.rows.train.picked(np.tile(self.places, self.repeats))
        sample = replace(self.rows, train=picked, validation=picked)  # none is evaluated
        loss = training_loss(self.config.training, self.rows.train.labels, self.compute.device)
        taken = step_seconds(self.classifier, sample, self.config, self.compute, loss, {0}, self.should_stop)
        return median(taken[0][WARM_UP:])

    def evaluation(self) -> tuple[float, float]:
        """The median seconds of a pass without gradients, and how many seconds one of them is by the wall clock."""
        device, size, taken = self.compute.device, self.compute.evaluation_batch, []
        rows = [self.rows.train[int(place)][0] for place in self.places]
        inputs = [self.rows.collate.inputs(rows[start : start + size]) for start in range(0, len(rows), size)]
        batches = [{name: tensor.to(device) for name, tensor in batch.items()} for batch in inputs]
        self.classifier.eval()
        with torch.inference_mode(), in_number_format(device, self.compute.precision):
            for _ in range(self.repeats):
                if self.should_stop():
                    raise Interrupted("stopped while the device was timed")
                started = clock(device)
                for batch in batches:
                    self.classifier(**batch)
                taken.append(clock(device) - started)
        seconds, wall = zip(*((each.seconds, each.wall) for each in taken[WARM_UP:]), strict=True)
        return median(seconds), sum(wall) / sum(seconds) if any(seconds) else 1.0
