"""What happens beside the gradient steps: the epoch's report, the best weights, stopping, and the guard on the loss."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.config import EarlyStopping, idle_epochs
from peftsearch.core.errors import Interrupted, TrialFailure
from peftsearch.core.measurement import ClassReport, EpochReport
from peftsearch.training.loop.loss import TrainingLoss
from peftsearch.training.meter import clock
from peftsearch.training.metrics.classification import Scores

Report = Callable[[EpochReport], None]

CHECK_EVERY = 10
"""Steps between two looks at the loss: each look waits for the GPU."""


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that training moves, by name."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


class Epochs(TrainerCallback):
    """Times each epoch, reports it, keeps the weights of the best one and stops early.

    Args:
        spent: seconds of training and of evaluation that the first epoch is charged with for work done before.

    Attributes:
        reports: one for each epoch run.
        best: the report with the highest `selection` metric, the earliest of equals.
        best_weights: all tensors that any epoch trains, as they were then, in CPU memory.
        best_classes: how each class was labelled then.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: TrainingLoss,
        report: Report,
        selection: str,
        stopping: EarlyStopping | None,
        scores: Scores,
        spent: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        self.model = model
        self._trained = trainable(model)
        self.loss = loss
        self.report = report
        self.selection = selection
        self.stopping = stopping
        self.scores = scores
        self.spent = spent
        self.reports: list[EpochReport] = []
        self.best: EpochReport | None = None
        self.best_weights: dict[str, torch.Tensor] = {}
        self.best_classes: ClassReport | None = None
        self._started = self._train_seconds = 0.0

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.loss.reset()
        self._started = clock(args.device)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._train_seconds = clock(args.device) - self._started
        self.loss.check()

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float],
        **_: Any,
    ) -> None:
        train_spent, evaluation_spent = (0.0, 0.0) if self.reports else self.spent
        own = {name.removeprefix("eval_metric_"): v for name, v in metrics.items() if name.startswith("eval_metric_")}
        loss = own.pop("validation_loss")
        if not math.isfinite(loss):
            raise TrialFailure("not_finite", f"validation loss is {loss} after epoch {len(self.reports) + 1}")
        report = EpochReport(
            epoch=len(self.reports) + 1,
            train_loss=self.loss.mean(),
            validation_loss=loss,
            metrics=own,
            train_seconds=self._train_seconds + train_spent,
            evaluation_seconds=metrics["eval_runtime"] + evaluation_spent,
            trainable_parameters=sum(p.numel() for p in trainable(self.model).values()),
        )
        self._remember(report)
        self.report(report)
        control.should_training_stop = control.should_training_stop or stops_early(
            [r.metrics[self.selection] for r in self.reports], self.stopping
        )

    def _remember(self, report: EpochReport) -> None:
        self.reports.append(report)
        if self.best is None or report.metrics[self.selection] > self.best.metrics[self.selection]:
            self.best = report
            self.best_classes = self.scores.classes
            self.best_weights = {name: tensor.detach().to("cpu", copy=True) for name, tensor in self._trained.items()}


def stops_early(scores: list[float], stopping: EarlyStopping | None) -> bool:
    """Whether the last `patience` scores all failed to beat the best before them by more than `threshold`.

    >>> stops_early([0.5, 0.6, 0.6, 0.59], EarlyStopping(patience=2))
    True
    >>> stops_early([0.5, 0.6, 0.6, 0.61], EarlyStopping(patience=2))
    False
    """
    return stopping is not None and idle_epochs(scores, stopping.threshold) >= stopping.patience


class Guards(TrainerCallback):
    """Ends a trial whose loss is not finite or whose user asked to stop."""

    def __init__(self, loss: TrainingLoss, should_stop: Callable[[], bool]) -> None:
        self.loss = loss
        self.should_stop = should_stop

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.should_stop():
            raise Interrupted(f"stopped at step {state.global_step}")
        if state.global_step % CHECK_EVERY == 0:
            self.loss.check()
