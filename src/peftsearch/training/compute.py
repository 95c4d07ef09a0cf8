"""Where a trial computes, in which number format, and with how many rows at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

_EVALUATION_FACTOR = 4


@dataclass(frozen=True)
class Compute:
    """How a trial computes.

    Attributes:
        precision: the number format: `fp32`, `tf32`, `bf16` or `fp16`.
        micro_batch: rows of a forward pass in training; divides the batch size, and gradients are accumulated.
    """

    device: torch.device
    precision: str
    micro_batch: int

    @property
    def evaluation_batch(self) -> int:
        """Rows of a forward pass without a backward pass, for which no activations are stored."""
        return self.micro_batch * _EVALUATION_FACTOR


def chosen_device(asked: str) -> torch.device:
    """The device of that name; for `auto` the GPU if there is one, else the CPU."""
    if asked == "auto":
        asked = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(asked)
