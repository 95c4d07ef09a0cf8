"""The loss that is trained on, and its running mean."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn import functional

from peftsearch.core.errors import TrialFailure


class TrainingLoss:
    """Cross entropy as `Trainer.compute_loss_func`; sums over micro-batches come out as the mean over the batch."""

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing
        self.reset()

    def reset(self) -> None:
        """Start the mean of a new epoch."""
        self._sum: torch.Tensor | float = 0.0
        self._rows = 0

    def __call__(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Mean loss of the rows, or their share of an accumulated batch of `num_items_in_batch` rows."""
        logits = outputs.logits.float()
        total = functional.cross_entropy(logits, labels, label_smoothing=self.label_smoothing, reduction="sum")
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
