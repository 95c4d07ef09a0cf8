"""Callbacks of the Trainer: one records and reports the epochs, one aborts a trial that cannot go on."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.config import EarlyStopping, TrialConfig, idle_epochs
from peftsearch.core.errors import Interrupted, TrialFailure
from peftsearch.core.measurement import ClassReport, EpochReport
from peftsearch.core.predictions import Predictions
from peftsearch.core.progress import StepReport, on_step_of
from peftsearch.core.trained import TrainedModel
from peftsearch.training.loop.loss import TrainingLoss
from peftsearch.training.meter import Seconds, clock
from peftsearch.training.metrics.classification import ValidationScores

Report = Callable[[EpochReport], None]

EVALUATION_SECONDS = "eval_clock_seconds"
"""Under this name an evaluation tells what it took by the device's clock: the Trainer's own `eval_runtime` is by the
wall clock."""

NO_PREFIX = (Seconds(), Seconds())

CHECK_EVERY = 10
"""Steps between two checks of the loss, each of which waits for the GPU."""


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training moves, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


class EpochRecorder(TrainerCallback):
    """Times each epoch, reports it, keeps the weights of the best one and stops early.

    Args:
        scores: holds what the last evaluation found.
        prefix_seconds: what computing the frozen prefix of the training and of the validation rows took. The first
            epoch is charged with it.
        last_epoch: the epoch that ends the training and counts as the best; None to choose the best by its score.
        snapshot: makes what an epoch's report carries as `trained`.

    Attributes:
        trained: the parameters that any epoch trains, by name.
        reports: one for each epoch run.
        best: the report with the highest selection metric, the earliest of equals.
        best_weights: every tensor that any epoch trains, as the best epoch left it, in CPU memory.
        best_classes: how the best epoch labelled each class.
        best_predictions: what the best epoch said about each row, in the order of the split.
        scores: what the last evaluation found.
        out_of_time: whether the search's time limit ended the training.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrialConfig,
        loss: TrainingLoss,
        scores: ValidationScores,
        report: Report,
        prefix_seconds: tuple[Seconds, Seconds] = NO_PREFIX,
        last_epoch: int | None = None,
        snapshot: Callable[[EpochRecorder], TrainedModel | None] = lambda _: None,
    ) -> None:
        self._model = model
        self.trained = trainable(model)
        self._loss = loss
        self.scores = scores
        self._report = report
        self._selection = config.selection
        self._stopping = config.training.early_stopping
        self._prefix_seconds = prefix_seconds
        self._last_epoch = last_epoch
        self._snapshot = snapshot
        self._started = self._took = Seconds()
        self.reports: list[EpochReport] = []
        self.best: EpochReport | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.best_classes: ClassReport | None = None
        self.best_predictions: Predictions | None = None
        self.out_of_time = False

    def take_up(
        self,
        reports: list[EpochReport],
        best: EpochReport | None,
        weights: dict[str, torch.Tensor],
        classes: ClassReport | None,
        predictions: Predictions | None,
    ) -> None:
        """Go on after the epochs of an interrupted training; they are reported again.

        Args:
            best: one of `reports`; the rest is the best epoch's.

        Raises:
            Exception: whatever `report` raises.
        """
        self.best, self.best_weights, self.best_classes, self.best_predictions = best, weights, classes, predictions
        for report in reports:
            self.reports.append(report)
            self._report(report)

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._loss.reset()
        self._started = clock(args.device)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._took = clock(args.device) - self._started
        self._loss.check()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        epoch, loss = len(self.reports) + 1, self.scores.loss
        if not math.isfinite(loss):
            raise TrialFailure("not_finite", f"validation loss is {loss} after epoch {epoch}")
        train_prefix, validation_prefix = self._prefix_seconds if epoch == 1 else NO_PREFIX
        took = self._took + train_prefix
        report = EpochReport(
            epoch=epoch,
            train_loss=self._loss.mean(),
            validation_loss=loss,
            metrics=self.scores.metrics,
            train_seconds=took.seconds,
            evaluation_seconds=metrics[EVALUATION_SECONDS] + validation_prefix.seconds,
            trainable_parameters=sum(p.numel() for p in trainable(self._model).values()),
            wall_seconds=took.wall,
            evaluation_wall_seconds=metrics["eval_runtime"] + validation_prefix.wall,
        )
        self._remember(report)
        self._report(replace(report, trained=self._snapshot(self)))
        control.should_training_stop = control.should_training_stop or self._is_enough()

    def _is_enough(self) -> bool:
        if self._last_epoch is not None:
            return len(self.reports) >= self._last_epoch
        return stops_early([report.metrics[self._selection] for report in self.reports], self._stopping)

    def _remember(self, report: EpochReport) -> None:
        self.reports.append(report)
        if self._last_epoch is not None:
            keep = report.epoch == self._last_epoch
        else:
            keep = self.best is None or report.metrics[self._selection] > self.best.metrics[self._selection]
        if keep:
            self.best = report
            self.best_classes, self.best_predictions = self.scores.classes, self.scores.predictions
            self.best_weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self.trained.items()}


def stops_early(scores: list[float], stopping: EarlyStopping | None) -> bool:
    """Whether the last `patience` scores all failed to beat the best before them by more than `threshold`.

    >>> stops_early([0.5, 0.6, 0.6, 0.59], EarlyStopping(patience=2))
    True
    >>> stops_early([0.5, 0.6, 0.6, 0.61], EarlyStopping(patience=2))
    False
    """
    return stopping is not None and idle_epochs(scores, stopping.threshold) >= stopping.patience


class AbortTrial(TrainerCallback):
    """Raises as soon as the loss is not finite or `should_stop` says so; tells the latter of the steps."""

    def __init__(self, loss: TrainingLoss, should_stop: Callable[[], bool]) -> None:
        self._loss = loss
        self._should_stop = should_stop
        self._on_step = on_step_of(should_stop)
        self._last_loss: float | None = None

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._stop_if_asked(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._stop_if_asked(state)
        if state.global_step % CHECK_EVERY == 0:
            self._loss.check()
            self._last_loss = self._loss.mean()
        self._on_step(StepReport(state.global_step, state.max_steps, self._last_loss))

    def _stop_if_asked(self, state: TrainerState) -> None:
        if self._should_stop():
            raise Interrupted(f"stopped at step {state.global_step}")
