"""One attempt at a trial: the classifier built, trained and measured, with so many rows a forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from transformers import set_seed

from peftsearch.backbones.loading import ResolvedModel
from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import Measurement
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import PadToLongest, length_grouped_order, padding_share
from peftsearch.training.gradient_check import prove_gradients
from peftsearch.training.loop.callbacks import Epochs, Report
from peftsearch.training.loop.loss import TrainingLoss
from peftsearch.training.loop.stages import Stages
from peftsearch.training.loop.trainer import EVALUATION_BATCH, Rows, train
from peftsearch.training.meter import PeakMemory, device_name, is_out_of_memory
from peftsearch.training.prefix_cache.states import Pass, Reuse, reusing_prefix
from peftsearch.training.prefix_cache.store import FeatureStore

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier

PACKAGES = ("torch", "transformers", "peft", "adapters", "accelerate", "datasets", "scikit-learn")
GUARD_ROWS = 4


@dataclass(frozen=True)
class Setup:
    """What every attempt at one trial shares.

    Attributes:
        fingerprint: of the data.
        store: of frozen prefixes' states; None to compute them in every epoch.
        should_stop: asked after every step.
    """

    config: TrialConfig
    rows: Rows
    fingerprint: str
    resolved: ResolvedModel
    device: torch.device
    precision: str
    store: FeatureStore | None
    report: Report
    should_stop: Callable[[], bool]

    def attempt(self, micro_batch: int) -> tuple[Classifier, Measurement] | None:
        """The trained classifier and what it measured, with `micro_batch` rows a pass; None if memory is short."""
        memory = PeakMemory(self.device)
        try:
            classifier = self._build()
            how = Pass(self.device, self.precision, micro_batch * EVALUATION_BATCH, memory, self.should_stop)
            with reusing_prefix(classifier, self.rows, self.resolved, self.store, how) as reuse:
                epochs = train(
                    classifier,
                    reuse.rows,
                    self.config,
                    self.report,
                    device=self.device,
                    precision=self.precision,
                    micro_batch=micro_batch,
                    should_stop=self.should_stop,
                    spent=reuse.spent,
                )
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                return None
            raise
        return classifier, self._measure(classifier, epochs, reuse, memory.read(), micro_batch)

    def _build(self) -> Classifier:
        """The classifier on its device, proven to train what its method says."""
        config = self.config
        set_seed(config.training.seed)
        classifier = build_classifier(
            self.resolved,
            ENCODER_METHODS[config.method],
            config.settings,
            len(self.rows.labels),
            max_length=config.max_length,
            trust_remote_code=config.trust_remote_code,
        ).to(self.device)
        classifier.train()
        picked = [self.rows.train[i] for i in range(min(GUARD_ROWS, len(self.rows.train)))]
        padded = PadToLongest(self.rows.collate.pad_token)(picked)
        batch = {name: tensor.to(self.device) for name, tensor in padded.items()}
        for _ in Stages(classifier, config).each():
            prove_gradients(classifier.train(), batch, TrainingLoss())
        return classifier

    def _measure(
        self, classifier: Classifier, epochs: Epochs, reuse: Reuse, peak_memory_mb: float, micro_batch: int
    ) -> Measurement:
        config, best = self.config, epochs.best
        assert best is not None, "a trial has at least one epoch"
        trains = ENCODER_METHODS[config.method].takes_steps
        train_seconds = sum(report.train_seconds for report in epochs.reports)
        evaluation_seconds = sum(report.evaluation_seconds for report in epochs.reports)
        # Of a text that nothing is known about yet: the prefix, and what comes after it.
        once = reuse.validation.cost.seconds
        per_evaluation = once + (evaluation_seconds - once) / len(epochs.reports)
        lengths = self.rows.train.lengths
        order = length_grouped_order(lengths, config.training.batch_size, config.training.seed, self.rows.pool_batches)
        return Measurement(
            metrics={**best.metrics, "validation_loss": best.validation_loss},
            best_epoch=best.epoch if trains else 0,
            epochs=len(epochs.reports) if trains else 0,
            trainable_parameters=max(report.trainable_parameters for report in epochs.reports) if trains else 0,
            total_parameters=sum(parameter.numel() for parameter in classifier.parameters()),
            train_seconds=train_seconds,
            evaluation_seconds=evaluation_seconds,
            evaluation_samples_per_second=len(self.rows.validation) / per_evaluation,
            peak_memory_mb=max(peak_memory_mb, reuse.peak_memory_mb),
            device=device_name(self.device),
            precision=self.precision,
            seed=config.training.seed,
            data_fingerprint=self.fingerprint,
            micro_batch_size=micro_batch,
            padding_share=padding_share(lengths, order, micro_batch),
            prefix_seconds=reuse.train.cost.seconds,
            actual_train_seconds=train_seconds - reuse.spared_seconds,
            versions={name: version(name) for name in PACKAGES},
            classes=epochs.best_classes,
        )
