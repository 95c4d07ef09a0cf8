"""One attempt at a trial: the classifier is built, trained and measured with a given micro-batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import set_seed

from peftsearch.backbones.loading import ResolvedModel
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.core.versions import installed_versions
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import PadToLongest, length_grouped_order, padding_share
from peftsearch.training.checkpoint import model_size_mb, save_tensors, size_mb, tensors_of
from peftsearch.training.compute import Compute
from peftsearch.training.gradient_check import check_gradients
from peftsearch.training.loop.callbacks import EpochRecorder, Report, trainable
from peftsearch.training.loop.loss import TrainingLoss
from peftsearch.training.loop.stages import Stages
from peftsearch.training.loop.trainer import train
from peftsearch.training.meter import PeakMemory, clock_of, device_name, is_out_of_memory
from peftsearch.training.prefix_cache.states import CachedRows, PrefixPass, cached_prefix, tensors_fingerprint
from peftsearch.training.prefix_cache.store import PrefixStore
from peftsearch.training.resume.keeper import Pauses
from peftsearch.training.resume.spent import Spent
from peftsearch.training.rows import TrialRows

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier

CHECKED_ROWS, CHECKED_TOKENS = 4, 8
"""Rows of the batch on which the gradients are checked, and tokens of each, at least."""


@dataclass(frozen=True)
class Trained:
    """A classifier with the best epoch's weights, what it measured, and what it said about the validation rows."""

    classifier: Classifier
    measurement: Measurement
    predictions: Predictions | None


def new_classifier(config: TrialConfig, resolved: ResolvedModel, classes: int) -> Classifier:
    """The classifier of a trial before its first step, with the random numbers of its seed."""
    set_seed(config.training.seed)
    return build_classifier(
        resolved,
        ENCODER_METHODS[config.method],
        config.settings,
        classes,
        max_length=config.max_length,
        trust_remote_code=config.trust_remote_code,
    )


@dataclass(frozen=True)
class AfterEpoch:
    """A classifier as its last epoch left it, for as long as the next one has not begun.

    Attributes:
        measure: returns what the trial would have measured if it ended now.
        predictions: what the epoch said about the validation rows.
        write: writes the checkpoint with this measurement into a folder.
    """

    measure: Callable[[], Measurement]
    predictions: Predictions | None
    write: Callable[[Measurement, Path], None]

    @cached_property
    def measurement(self) -> Measurement:
        """The epoch's, with what the trial cost until then."""
        return self.measure()

    def save(self, folder: Path) -> None:
        """Write the epoch's checkpoint into `folder`."""
        self.write(self.measurement, folder)


@dataclass(frozen=True)
class Attempt:
    """A trial to be trained with the micro-batch of `compute`.

    Attributes:
        fingerprint: of the data.
        store: the frozen-prefix cache; None to compute frozen prefixes in every epoch.
        should_stop: asked after every step and every evaluated batch.
        exact: whether the trial does without the speed-ups that change results, which is kept with what it measured.
        last_epoch: the epoch that ends the training and whose weights are kept; None to keep the best epoch's.
        paused: the file that keeps the state after the epochs, and from which the attempt goes on if that state is its
            own; None to keep none.
    """

    config: TrialConfig
    rows: TrialRows
    fingerprint: str
    resolved: ResolvedModel
    compute: Compute
    store: PrefixStore | None
    report: Report
    should_stop: Callable[[], bool]
    exact: bool = False
    last_epoch: int | None = None
    paused: Path | None = None

    def run(self) -> Trained | None:
        """Train and measure the classifier; None if the memory is too small for the micro-batch."""
        memory = PeakMemory(self.compute.device)
        try:
            classifier = self._build()
            how = PrefixPass(self.compute, memory, self.should_stop)
            with cached_prefix(classifier, self.rows, self.resolved, self.store, how) as cached:
                spent = Spent(cached, memory)
                epochs = train(
                    classifier,
                    cached.rows,
                    self.config,
                    self.compute,
                    self.report,
                    self.should_stop,
                    cached.prefix_seconds,
                    self.last_epoch,
                    partial(self._after_epoch, classifier, tensors_of(classifier, self.config), spent),
                    self._pauses(classifier, spent),
                )
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                return None
            raise
        assert epochs.best is not None, "a trial has at least one epoch"
        return Trained(classifier, self._measure(classifier, epochs, spent, epochs.best), epochs.best_predictions)

    def _pauses(self, classifier: Classifier, spent: Spent) -> Pauses | None:
        if self.paused is None:
            return None
        trained, rows = set(trainable(classifier)), spent.cached.rows

        @cache
        def origin() -> Mapping[str, Any]:
            tensors = chain(classifier.named_parameters(), classifier.named_buffers())
            frozen = ((name, tensor) for name, tensor in tensors if name not in trained)
            return {
                "config": self.config.to_dict(),
                "data": self.fingerprint,
                "frozen": tensors_fingerprint(frozen),
                "device": device_name(self.compute.device),
                "precision": self.compute.precision,
                "micro_batch": self.compute.micro_batch,
                "exact": self.exact,
                "last_epoch": self.last_epoch,
                "rows": [type(split).__name__ for split in (rows.train, rows.validation)],
                "versions": installed_versions(),
            }

        return Pauses(self.paused, origin, spent)

    def _build(self) -> Classifier:
        """The classifier on its device, checked to train what its method says in every epoch."""
        config, device = self.config, self.compute.device
        classifier = new_classifier(config, self.resolved, len(self.rows.labels)).to(device)
        classifier.train()
        batch = {name: tensor.to(device) for name, tensor in self._checked_batch().items()}
        for _ in Stages(classifier, config).each():
            check_gradients(classifier.train(), batch, TrainingLoss())
        return classifier

    def _checked_batch(self) -> dict[str, torch.Tensor]:
        """The longest training rows, made longer if they are short.

        In a text of one token, attention has nothing to choose from and an LSTM nothing to remember, so that no
        gradient reaches a query or the LSTM's recurrent weights.
        """
        training, count = self.rows.train, min(CHECKED_ROWS, self.compute.micro_batch)
        picked = [training[int(i)] for i in np.argsort(-training.lengths, kind="stable")[:count]]
        tokens = {name: np.concatenate([columns[name] for columns, _ in picked]) for name in picked[0][0]}
        enough, rows = min(CHECKED_TOKENS, self.config.max_length), []
        for place, (columns, label) in enumerate(picked):
            longer = {name: np.resize(np.roll(values, -place), enough) for name, values in tokens.items()}
            rows.append((columns if len(columns["input_ids"]) >= enough else longer, label))
        return PadToLongest(self.rows.collate.pad_token)(rows)

    def _after_epoch(
        self,
        classifier: Classifier,
        tensors: Mapping[str, torch.Tensor],
        spent: Spent,
        epochs: EpochRecorder,
    ) -> AfterEpoch:
        """The classifier as it is now. Writing it is no part of what the trial needs, in time or in memory.

        Args:
            tensors: what a checkpoint holds; a method with stages trains only some of them now.
        """
        classes, now = epochs.scores.classes, len(epochs.reports)

        def measure() -> Measurement:
            # There may be no best epoch yet: `last_epoch` makes a later one the best, whatever it scores.
            so_far = self._measure(classifier, epochs, spent, epochs.reports[-1])
            size = size_mb(tensors)
            return replace(so_far.after(now, epochs.reports), classes=classes, model_size_mb=size)

        def write(measurement: Measurement, folder: Path) -> None:
            with spent.memory.paused():
                save_tensors(tensors, self.config, measurement, self.rows.labels, folder)

        return AfterEpoch(measure, epochs.scores.predictions, write)

    def _measure(self, classifier: Classifier, epochs: EpochRecorder, spent: Spent, best: EpochReport) -> Measurement:
        reports, cached = epochs.reports, spent.cached
        takes_steps = ENCODER_METHODS[self.config.method].takes_steps
        wall_seconds = sum(report.wall_seconds or 0.0 for report in reports)
        return Measurement(
            metrics={**best.metrics, "validation_loss": best.validation_loss},
            best_epoch=best.epoch if takes_steps else 0,
            epochs=len(reports) if takes_steps else 0,
            trainable_parameters=max(report.trainable_parameters for report in reports) if takes_steps else 0,
            total_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
            train_seconds=sum(report.train_seconds for report in reports),
            evaluation_seconds=sum(report.evaluation_seconds for report in reports),
            evaluation_samples_per_second=self._evaluation_speed(epochs, cached),
            peak_memory_mb=spent.peak_memory_mb,
            device=device_name(self.compute.device),
            precision=self.compute.precision,
            seed=self.config.training.seed,
            data_fingerprint=self.fingerprint,
            micro_batch_size=self.compute.micro_batch,
            padding_share=self._padding_share(),
            prefix_seconds=cached.train.cost.seconds,
            actual_train_seconds=wall_seconds - cached.saved_wall_seconds,
            versions=installed_versions(),
            classes=epochs.best_classes,
            threads=torch.get_num_threads(),
            exact=self.exact,
            out_of_time=epochs.out_of_time,
            model_size_mb=model_size_mb(classifier, self.config),
            clock=clock_of(self.compute.device),
            wall_seconds=wall_seconds,
        )

    def _evaluation_speed(self, epochs: EpochRecorder, cached: CachedRows) -> float:
        """Rows a second for new texts, whose frozen prefix is in no cache."""
        seconds, prefix = sum(report.evaluation_seconds for report in epochs.reports), cached.validation.cost.seconds
        return len(self.rows.validation) / (prefix + (seconds - prefix) / len(epochs.reports))

    def _padding_share(self) -> float:
        lengths, training = self.rows.train.lengths, self.config.training
        order = length_grouped_order(lengths, training.batch_size, training.seed, self.rows.pool_batches)
        return padding_share(lengths, order, self.compute.micro_batch)
