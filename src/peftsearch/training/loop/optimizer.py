"""Parameter groups and AdamW."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.loop.stages import Stages

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier


def parameter_groups(model: Classifier, config: TrialConfig) -> list[dict[str, Any]]:
    """The trainable parameters in groups of one learning rate and one weight decay each.

    The head learns at `learning_rate * head_learning_rate_ratio`, each parameter of the encoder at `learning_rate`
    times the method's multiplier for it. Biases and norms (every tensor of fewer than two dimensions) are not decayed,
    as in BERT's own recipe. A group's `first_epoch` (the first is 0) says when it thaws: until then its tensors have no
    gradients, and AdamW passes over them.
    """
    rate, ratio = float(config.settings["learning_rate"]), float(config.settings["head_learning_rate_ratio"])
    own = ENCODER_METHODS[config.method].learning_rate_multipliers(model.encoder, config.settings)
    factors = {f"encoder.{name}": factor for name, factor in own.items()}
    stages = Stages(model, config)
    groups: dict[tuple[float, bool, int], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = ratio if name.startswith("head.") else factors.get(name, 1.0)
            groups.setdefault((rate * factor, parameter.ndim > 1, stages.first_epoch(name)), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr,
            "weight_decay": config.training.weight_decay if decayed else 0.0,
            "first_epoch": first_epoch,
        }
        for (lr, decayed, first_epoch), parameters in groups.items()
    ]


def adamw(model: Classifier, config: TrialConfig, device: torch.device) -> torch.optim.AdamW:
    """AdamW with the fused step where the device has one."""
    return torch.optim.AdamW(parameter_groups(model, config), fused=device.type in ("cuda", "cpu"))


def warm_up_late_groups(schedule: LambdaLR, steps: int, warmup: int, epochs: int) -> LambdaLR:
    """Let each group of `parameter_groups` that thaws later rise over `warmup` steps of its own, below `schedule`."""
    for i, group in enumerate(schedule.optimizer.param_groups):
        if group["first_epoch"]:
            start = steps * group["first_epoch"] // epochs
            schedule.lr_lambdas[i] = _rising(schedule.lr_lambdas[i], start, warmup)
    return schedule


def _rising(factor: Callable[[int], float], start: int, warmup: int) -> Callable[[int], float]:
    return lambda step: factor(step) * min(1.0, max(0, step - start) / warmup) if warmup else factor(step)
