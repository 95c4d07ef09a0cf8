"""Parameter groups and AdamW."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import METHODS

if TYPE_CHECKING:
    from peftsearch.backbones.heads import Classifier


def parameter_groups(model: Classifier, config: TrialConfig) -> list[dict[str, Any]]:
    """The trainable parameters in groups of one learning rate and one weight decay each.

    The head learns at `learning_rate * head_learning_rate_ratio`, the encoder as the method's `rates` say. Biases and
    norms (every tensor of fewer than two dimensions) are not decayed, as in BERT's own recipe.
    """
    rate = float(config.settings["learning_rate"])
    ratio = float(config.settings.get("head_learning_rate_ratio", 1.0))
    own = METHODS[config.method].rates(model.encoder, config.settings)
    factors = {f"encoder.{name}": factor for name, factor in own.items()}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = ratio if name.startswith("head.") else factors.get(name, 1.0)
            groups.setdefault((rate * factor, parameter.ndim > 1), []).append(parameter)
    return [
        {"params": parameters, "lr": lr, "weight_decay": config.training.weight_decay if decayed else 0.0}
        for (lr, decayed), parameters in groups.items()
    ]


def adamw(model: Classifier, config: TrialConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW with the fused step where the device has one."""
    return torch.optim.AdamW(parameter_groups(model, config), fused=device.type in ("cuda", "cpu"))
