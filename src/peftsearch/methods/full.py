"""Full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from peftsearch.methods.base import Hyperparameter, Method, Settings, learning_rate

if TYPE_CHECKING:
    from torch import nn


class Full(Method):
    """Every tensor of the encoder is trained."""

    name = "full"
    summary = "full fine-tuning: every tensor moves"
    paper = "Devlin et al. 2019, https://arxiv.org/abs/1810.04805"
    own: ClassVar[Mapping[str, Hyperparameter]] = {"learning_rate": learning_rate(1e-5, 5e-4)}

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return encoder.requires_grad_(True)
