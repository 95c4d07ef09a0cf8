"""Before a trial trains: proof that what is trained is what was asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


class NotTrained(RuntimeError):
    """A trainable tensor that no batch can move, or a frozen one that a batch would: a fault of ours."""


def prove_gradients(model: nn.Module, batch: dict[str, torch.Tensor], loss: Callable[[Any, torch.Tensor], Any]) -> None:
    """One batch must give every trainable tensor a gradient and no frozen one any.

    Zero-initialised tensors hide others from the first gradient (LoRA's B hides A), so where a gradient is zero they
    are nudged for a second look and put back. Leaves no gradients behind.

    Raises:
        NotTrained: with the names of the tensors.
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
        raise NotTrained(f"no gradient reaches {_some(silent)}")


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
        raise NotTrained(f"a gradient reaches frozen {_some(frozen)}")
    return trained.keys() - moved


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(listed[:3]) + more
