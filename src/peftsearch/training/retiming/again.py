"""What the training of a finished trial takes, measured again: a few steps of each kind are trained, not all of them.

A trial that trained beside others on a GPU took longer than it would have taken alone, and the clock of a GPU is the
wall clock. How long the steps of a trial take depends on their shapes and on what is trainable, and both are known
without training. So steps of a few shapes are timed, and the time of every step is interpolated between them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.backbones.loading import ResolvedModel, resolve, tokenizer_of
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import Measurement
from peftsearch.data.base import TextData
from peftsearch.training.attempt import new_classifier
from peftsearch.training.batches import length_grouped_order
from peftsearch.training.compute import Compute, chosen_device
from peftsearch.training.loop.loss import training_loss
from peftsearch.training.loop.stages import Stages
from peftsearch.training.meter import PeakMemory
from peftsearch.training.prefix_cache.states import PrefixPass, cached_prefix, compute_states, layout_of
from peftsearch.training.prefix_cache.store import PrefixStore
from peftsearch.training.retiming.steps import Step, seconds_of, spread, steps_of
from peftsearch.training.retiming.stopwatch import step_seconds
from peftsearch.training.rows import TokenRows, TrialRows
from peftsearch.training.trial import trial_rows

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier

SHAPES = 4
"""How many shapes of steps are timed."""

WARM_UP, REPEATS = 1, 3
"""How often each shape is trained before it is timed, since the first time kernels are chosen, and how often it is
timed."""

Ask = Callable[[], bool]


def epoch_seconds(
    config: TrialConfig,
    data: TextData,
    measured: Measurement,
    epochs: int,
    *,
    cache: Path,
    device: str = "auto",
    should_stop: Ask = lambda: False,
) -> tuple[float, ...]:
    """The training seconds of each epoch of a trial that has ended, by the clock of the device.

    The first epoch's hold what computing the states of a frozen prefix once takes, where the trial did so.

    Args:
        config: of the trial.
        measured: what the trial measured: in which number format it trained, in which micro-batches, and whether with
            a cached prefix.
        epochs: how many it has run.
        cache: folder of the tokenised splits.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        should_stop: asked after every step.

    Raises:
        Interrupted: `should_stop` said so.
        RuntimeError: the memory is too small, among other reasons that torch has.
    """
    resolved, where = resolve(config.backbone, config.revision, config.trust_remote_code), chosen_device(device)
    rows = trial_rows(config, data, tokenizer_of(config, resolved), where, cache, bool(measured.exact))
    batch_size = min(config.training.batch_size, len(rows.train))
    config = replace(config, training=replace(config.training, batch_size=batch_size))
    compute = Compute(where, measured.precision, min(measured.micro_batch_size, batch_size))
    return _Again(config, rows, resolved, compute, bool(measured.prefix_seconds), should_stop).epochs(epochs)


@dataclass(frozen=True)
class _Again:
    """A finished trial, whose steps are timed.

    Attributes:
        caches: whether the states of its frozen prefix were computed once.
    """

    config: TrialConfig
    rows: TrialRows
    resolved: ResolvedModel
    compute: Compute
    caches: bool
    should_stop: Ask

    def epochs(self, count: int) -> tuple[float, ...]:
        """The seconds of each of the first `count` epochs."""
        classifier = new_classifier(self.config, self.resolved, len(self.rows.labels)).to(self.compute.device)
        classifier.train()
        plan = [self.steps(epoch) for epoch in range(count)]
        whole, short = _by_size(plan[0])
        chosen = spread(whole, SHAPES)
        sample = self.sample([*chosen * (WARM_UP + REPEATS), *short])
        with tempfile.TemporaryDirectory(prefix="peftsearch-") as folder:
            store = PrefixStore(Path(folder)) if self.caches else None
            how = PrefixPass(self.compute, PeakMemory(self.compute.device), self.should_stop)
            with cached_prefix(classifier, sample, self.resolved, store, how) as cached:
                prefix = self.prefix_seconds(classifier, how, Path(folder)) if self.caches else 0.0
                stages = Stages(classifier, self.config).alike()[:count]
                timed = self.timed(classifier, cached.rows, set(stages))
        first, *rest = (_seconds(steps, chosen, timed[stage]) for steps, stage in zip(plan, stages, strict=True))
        return (first + prefix, *rest)

    def steps(self, epoch: int) -> list[Step]:
        """Those of an epoch, 0 for the first."""
        lengths, training = self.rows.train.lengths, self.config.training
        order = length_grouped_order(lengths, training.batch_size, training.seed + epoch, self.rows.pool_batches)
        return steps_of(order, lengths, training.batch_size, self.compute.micro_batch, self.rows.collate.width)

    def sample(self, steps: Sequence[Step]) -> TrialRows:
        """The rows of these steps. None is evaluated, but a Trainer wants rows for that too."""
        assert isinstance(self.rows.train, TokenRows)
        picked = self.rows.train.picked(np.concatenate([step.rows for step in steps]))
        return replace(self.rows, train=picked, validation=picked)

    def timed(self, classifier: Classifier, rows: TrialRows, stages: set[int]) -> dict[int, list[float]]:
        """The first epoch of each stage → the seconds of each step."""
        loss = training_loss(self.config.training, self.rows.train.labels, self.compute.device)
        return step_seconds(classifier, rows, self.config, self.compute, loss, stages, self.should_stop)

    def prefix_seconds(self, classifier: Classifier, how: PrefixPass, folder: Path) -> float:
        """What the one pass takes that computes the states of the frozen prefix for all rows."""
        rows, size = self.rows.train, self.compute.evaluation_batch
        assert isinstance(rows, TokenRows)
        batches = steps_of(np.argsort(rows.lengths, kind="stable"), rows.lengths, size, size, self.rows.collate.width)
        timed: dict[int, list[float]] = {}
        for batch in spread(batches, SHAPES) * (WARM_UP + REPEATS):
            picked = rows.picked(batch.rows)
            layout = layout_of(classifier, picked, self.compute.precision)
            with FileIO(folder / "states", "w") as file:
                cost = compute_states(classifier, picked, self.rows.collate, layout, how, file)
            timed.setdefault(batch.tokens, []).append(cost.seconds)
        return seconds_of(batches, {tokens: median(found[WARM_UP:]) for tokens, found in timed.items()})


def _by_size(steps: Sequence[Step]) -> tuple[list[Step], list[Step]]:
    """The steps with as many rows as the first, and the last step where it has fewer."""
    whole = [step for step in steps if len(step.rows) == len(steps[0].rows)]
    return whole, list(steps[len(whole) :])


def _seconds(steps: Sequence[Step], chosen: Sequence[Step], timed: Sequence[float]) -> float:
    """What the steps of an epoch take.

    Args:
        chosen: those that were timed, by turns.
        timed: the seconds of each step that was trained, the short one's last.
    """
    whole, short = _by_size(steps)
    turns = {
        step.tokens: timed[place : len(chosen) * (WARM_UP + REPEATS) : len(chosen)][WARM_UP:]
        for place, step in enumerate(chosen)
    }
    return seconds_of(whole, {tokens: median(found) for tokens, found in turns.items()}) + (timed[-1] if short else 0.0)
