"""A trial of a method that needs no backbone and is fitted to the texts in one go."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.core.versions import TEXT_PACKAGES, installed_versions
from peftsearch.data.base import TextData, documents
from peftsearch.methods.base import TextMethod, TextModel
from peftsearch.training.checkpoint import save_text_model, text_model_size_mb
from peftsearch.training.meter import PeakMemory, clock, clock_of, device_name
from peftsearch.training.metrics.classification import class_report, classification_metrics, cross_entropy, in_order
from peftsearch.training.serving import ASKED, text_model_latency

CPU = torch.device("cpu")

THREADS = 1
"""The CPU threads that a text method computes with, however many the worker has."""


@dataclass(frozen=True)
class TextTrialResult:
    """A fitted model, what it measured, and what it said about the validation rows."""

    measurement: Measurement
    model: TextModel
    config: TrialConfig
    labels: tuple[str, ...]
    predictions: Predictions | None = None

    def save(self, folder: Path) -> None:
        """Write the trial's checkpoint into `folder`."""
        save_text_model(self.model, self.config, self.measurement, self.labels, folder)


def run_text_trial(
    config: TrialConfig,
    data: TextData,
    method: TextMethod,
    exact: bool = False,
    should_stop: Callable[[], bool] = lambda: False,
) -> TextTrialResult:
    """Fit `method` to the training split, and measure it on the validation split. There are no epochs to report.

    Args:
        exact: whether the search was asked to be exact, which changes nothing here and is kept with the measurement.
        should_stop: asked while the latency is measured.
    """
    train, validation = data.splits["train"], data.splits["validation"]
    memory, started = PeakMemory(CPU), clock(CPU)
    model = method.fit(documents(train), np.asarray(train["label"]), len(data.labels), config.settings)
    fitted = clock(CPU)
    said = model.scores(documents(validation))
    training, evaluation = fitted - started, clock(CPU) - fitted
    predictions = in_order(said, np.asarray(validation["label"]))
    scores, labels = predictions.logits, predictions.labels
    metrics = classification_metrics(scores, labels, config.evaluate)
    measurement = Measurement(
        metrics={**metrics, "validation_loss": cross_entropy(scores, labels)},
        best_epoch=0,
        epochs=0,
        trainable_parameters=model.parameters,
        total_parameters=model.parameters,
        train_seconds=training.seconds,
        evaluation_seconds=evaluation.seconds,
        evaluation_samples_per_second=len(labels) / evaluation.seconds,
        peak_memory_mb=memory.read(),
        device=device_name(CPU, THREADS),
        precision="fp64",
        seed=config.training.seed,
        data_fingerprint=data.fingerprint,
        micro_batch_size=len(train),
        padding_share=0.0,
        actual_train_seconds=training.wall,
        versions={**installed_versions(TEXT_PACKAGES), "python": platform.python_version()},
        classes=class_report(scores, labels, data.labels),
        threads=THREADS,
        exact=exact,
        model_size_mb=text_model_size_mb(model),
        clock=clock_of(CPU),
        wall_seconds=training.wall,
    )
    if ASKED in config.measure:
        measurement = text_model_latency(model, validation, should_stop).added_to(measurement)
    return TextTrialResult(measurement, model, config, data.labels, predictions)
