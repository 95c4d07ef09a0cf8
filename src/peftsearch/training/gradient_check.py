"""Checks, before a trial trains, that gradients reach the trainable parameters and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class GradientError(RuntimeError):
    """A trainable parameter gets no gradient, or a frozen one gets some. This is a bug of peftsearch."""


def check_gradients(model: nn.Module, batch: dict[str, torch.Tensor], loss: Callable[[Any, torch.Tensor], Any]) -> None:
    """Check that one batch gives every trainable parameter a gradient and no frozen one any.

    A parameter that starts at zero keeps the gradient of others at zero (LoRA's B does so to A). If gradients are
    missing, those zeros are therefore replaced by small random values for a second backward pass, and restored after.
    No gradient is left behind.

    Args:
        batch: the model's inputs, and `labels`.
        loss: of the model's outputs and the labels.

    Raises:
        GradientError: with the names of the parameters.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    silent = _without_gradient(model, batch, loss, trained)
    if silent:
        zeros = [p for p in trained.values() if not p.detach().any()]
        kept = [p.detach().clone() for p in zeros]
        with torch.no_grad():
            for parameter in zeros:
                parameter.normal_(std=0.02)
        silent &= _without_gradient(model, batch, loss, trained)
        with torch.no_grad():
            for parameter, value in zip(zeros, kept, strict=True):
                parameter.copy_(value)
    if silent:
        raise GradientError(f"no gradient reaches {_some(silent)}")


def _without_gradient(
    model: nn.Module,
    batch: dict[str, torch.Tensor],
    loss: Callable[[Any, torch.Tensor], Any],
    trained: dict[str, nn.Parameter],
) -> set[str]:
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    model.zero_grad()
    loss(model(**inputs), batch["labels"]).backward()
    moved = {name for name, p in model.named_parameters() if p.grad is not None and bool(p.grad.any())}
    model.zero_grad()
    frozen = moved - trained.keys()
    if frozen:
        raise GradientError(f"a gradient reaches frozen {_some(frozen)}")
    return trained.keys() - moved


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
