"""Poolings: from hidden states to one state for each row. A new one is a function and a line in `POOLINGS`.

The module loads no torch, so that the names in the table are known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    Pooling = Callable[[Tensor, Tensor], Tensor]
    """Hidden states (rows, tokens, width) and their attention mask (rows, tokens) → one state a row (rows, width)."""


def first_token(states: Tensor, mask: Tensor) -> Tensor:
    """The first real token's state, which is the tokenizer's `[CLS]`."""
    import torch

    return states[torch.arange(len(states), device=states.device), mask.int().argmax(dim=1)]


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """The last real token's state, whichever side is padded."""
    import torch

    positions = torch.arange(mask.shape[1], device=mask.device)
    return states[torch.arange(len(states), device=states.device), (mask.int() * positions).argmax(dim=1)]


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the real tokens."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Each dimension's maximum over the real tokens."""
    import torch

    return states.masked_fill(~mask.bool().unsqueeze(-1), torch.finfo(states.dtype).min).amax(dim=1)


POOLINGS: dict[str, Pooling] = {"cls": first_token, "mean": masked_mean, "max": masked_max, "last": last_token}
"""Name in a study file → pooling."""
