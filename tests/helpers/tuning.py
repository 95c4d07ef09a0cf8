"""Settings for any method, and a few real steps of training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peftsearch.core.dimensions import Scalar, extremes
from peftsearch.methods.table import METHODS

_SMALL: dict[str, Scalar] = {"rank": 2, "virtual_tokens": 3, "reduction_factor": 4, "frozen_layers": 1}
TEXTS = (["good cat", "bad dog zzz the", "red"], ["blue is", "not a very green", "word1 word2"])
"""Pairs of different lengths."""


def settings_of(method: str, **changes: Scalar) -> dict[str, Scalar]:
    """A value for every hyperparameter of `method`, small ones for tiny models."""
    first = {name: extremes(h.default)[0] for name, h in METHODS[method].hyperparameters.items()}
    return {**first, **{k: v for k, v in _SMALL.items() if k in first}, **changes}


def take_steps(classifier: Any, batch: Any, steps: int = 3, learning_rate: float = 0.01) -> list[float]:
    """Train with AdamW on one batch of `TEXTS`; returns the losses."""
    import torch

    labels = torch.tensor([0, 1, 2])
    trained = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(classifier(**batch).logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@contextmanager
def tf32_set_to(allowed: bool) -> Iterator[None]:
    """Inside, torch starts from these flags, as an earlier trial may have left them."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
