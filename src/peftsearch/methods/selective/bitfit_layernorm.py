"""BitFit and LN-tuning: only the encoder's biases, or only its norms, are trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy


class BitFit(EncoderMethod):
    """Only the encoder's biases are trained."""

    name = "bitfit"
    summary = "BitFit: only the biases are trained"
    paper = "Ben Zaken et al. 2021, https://arxiv.org/abs/2106.10199"
    when = (
        "Where many tasks share an encoder and each may add only its biases. Its paper finds it as good as full "
        "fine-tuning on small and medium data; on the questions it had 0.871 with 28,038 parameters."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {"learning_rate": learning_rate(1e-4, 1e-2, start=5e-3)}

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        return None if anatomy.has_biases else f"{anatomy.model_type} has no biases"

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        encoder.requires_grad_(False)
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name.rpartition(".")[2] == "bias")
        return encoder


class LayerNorm(EncoderMethod):
    """Only the scales and shifts of the encoder's normalisation layers are trained."""

    name = "layernorm"
    summary = "LN-tuning: only the norms are trained"
    paper = "Qi et al. 2022, https://arxiv.org/abs/2211.08682"
    when = (
        "Where fewer than 0.1 % of the parameters may be trained, for which its paper finds it better than others. "
        "On the questions it had 0.878 with 12,294 parameters."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {"learning_rate": learning_rate(1e-4, 1e-2, start=5e-3)}

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        encoder.requires_grad_(False)
        for module in encoder.modules():
            if type(module).__name__.endswith("Norm"):
                module.requires_grad_(True)
        return encoder
