"""Parameter groups and AdamW."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from peftsearch.core.config import TrialConfig


def parameter_groups(model: nn.Module, config: TrialConfig, head_prefix: str = "head.") -> list[dict[str, Any]]:
    """The trainable parameters in groups of one learning rate and one weight decay each.

    The head learns at `learning_rate * head_learning_rate_ratio`. Biases and norms (every tensor of fewer than two
    dimensions) are not decayed, as in BERT's own recipe.
    """
    rate = float(config.settings["learning_rate"])
    ratio = float(config.settings.get("head_learning_rate_ratio", 1.0))
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((name.startswith(head_prefix), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": rate * ratio if of_head else rate,
            "weight_decay": config.training.weight_decay if decayed else 0.0,
        }
        for (of_head, decayed), parameters in groups.items()
    ]


def adamw(model: nn.Module, config: TrialConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW with the fused step where the device has one."""
    return torch.optim.AdamW(parameter_groups(model, config), fused=device.type in ("cuda", "cpu"))
