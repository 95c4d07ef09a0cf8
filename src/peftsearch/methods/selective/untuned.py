"""No tuning at all: the pretrained encoder with an untrained head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings

if TYPE_CHECKING:
    from torch import nn


class Untuned(EncoderMethod):
    """Nothing is trained, and the classifier is evaluated once: the score that every method must beat."""

    name = "none"
    summary = "no tuning: the pretrained encoder with a random head, evaluated once"
    paper = "Devlin et al. 2019, https://arxiv.org/abs/1810.04805"
    when = "Only to compare with: its score is what the other methods begin with, 0.153 on the questions."
    takes_steps = False
    own: ClassVar[Mapping[str, Hyperparameter]] = {}

    def passes(self, settings: Settings, epochs: int) -> float:
        """None, because nothing is trained."""
        return 0.0

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return encoder.requires_grad_(False)
