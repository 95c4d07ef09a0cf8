"""The training loss and its running mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from peftsearch.core.config import TrainingConfig
from peftsearch.core.errors import TrialFailure


class TrainingLoss:
    """Cross entropy as `Trainer.compute_loss_func`: the micro-batches' losses add up to the mean over the batch.

    A weighted sum is divided by the number of rows, whereas torch's weighted mean divides it by the sum of the rows'
    weights. Balanced weights are 1 on average over the training rows, so that both have the same scale. But dividing by
    the weights would cancel a rare class's weight in a batch that holds no other class, and micro-batches would count
    unequally.

    Args:
        label_smoothing: share of the target spread evenly over all classes.
        weights: shape (classes,); each class's term is multiplied by its weight.
        focal_gamma: each class's term is multiplied by (1 - p) ** gamma, where p is its probability. Source: Lin
            et al., "Focal Loss for Dense Object Detection" (2017), https://arxiv.org/abs/1708.02002, over a softmax.
    """

    def __init__(
        self, label_smoothing: float = 0.0, weights: torch.Tensor | None = None, focal_gamma: float = 0.0
    ) -> None:
        self.label_smoothing = label_smoothing
        self.weights = weights
        self.focal_gamma = focal_gamma
        self.reset()

    def reset(self) -> None:
        """Start the mean of a new epoch."""
        self._sum: torch.Tensor | float = 0.0
        self._rows = 0

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Mean loss of the rows, or their share of an accumulated batch of `num_items_in_batch` rows."""
        total = self._total(outputs.logits.float(), labels)
        if torch.is_grad_enabled():  # evaluation calls this too
            self._sum = self._sum + total.detach()
            self._rows += len(labels)
        return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)

    def mean(self) -> float:
        """Mean over the rows since the last reset, as a Python number; waits for the device."""
        return float(self._sum) / self._rows if self._rows else math.nan

    def check(self) -> None:
        """Raises TrialFailure if any loss since the last reset was not finite."""
        if self._rows and not math.isfinite(float(self._sum)):
            raise TrialFailure("not_finite", f"training loss is {float(self._sum)}")

    def _total(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if not self.focal_gamma:
            return functional.cross_entropy(
                logits, labels, self.weights, label_smoothing=self.label_smoothing, reduction="sum"
            )
        log_p = functional.log_softmax(logits, dim=-1)
        targets = functional.one_hot(labels, logits.shape[-1]) * (1 - self.label_smoothing)
        targets = targets + self.label_smoothing / logits.shape[-1]
        if self.weights is not None:
            targets = targets * self.weights
        # At zero, a gamma below 1 has no finite gradient.
        rest = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
        return -(targets * rest**self.focal_gamma * log_p).sum()


def training_loss(training: TrainingConfig, labels: NDArray[np.int64], device: torch.device) -> TrainingLoss:
    """The loss that `training` asks for. Every class must occur among `labels`, those of the training rows."""
    weights = None
    if training.class_weights == "balanced":
        weights = torch.tensor(balanced_weights(labels), dtype=torch.float32, device=device)
    return TrainingLoss(training.label_smoothing, weights, training.focal_gamma)


def balanced_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """rows / (classes * rows of the class), as scikit-learn's `class_weight="balanced"`. Shape (classes,)."""
    counts = np.bincount(labels)
    weights: NDArray[np.float64] = len(labels) / (len(counts) * counts)
    return weights
