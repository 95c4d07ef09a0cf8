"""Full fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from peftsearch.core.dimensions import Fixed, Range
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate

if TYPE_CHECKING:
    from torch import nn


class Full(EncoderMethod):
    """Every parameter of the encoder is trained, with a learning rate that can fall from layer to layer."""

    name = "full"
    summary = "full fine-tuning: every parameter is trained"
    paper = "Devlin et al. 2019, https://arxiv.org/abs/1810.04805"
    when = (
        "Where quality counts, and memory, training time and the size of each trained model do not. On the "
        "questions it had 0.880, which LoRA and adapters reached with at most 1 % of the parameters."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-5, 5e-4),
        "layer_decay": Hyperparameter(
            Fixed(1.0), Range(0.1, 1.0), "learning rate relative to the layer above, https://arxiv.org/abs/1801.06146"
        ),
    }

    def passes(self, settings: Settings, epochs: int) -> float:
        """As for any method, and one more in each epoch for the gradients of the encoder's weights."""
        return 3.0 * epochs

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return encoder.requires_grad_(True)

    def learning_rate_multipliers(self, encoder: nn.Module, settings: Settings) -> Mapping[str, float]:
        """Layer-wise learning-rate decay: 1 for the last layer, times `layer_decay` for each layer further down."""
        from peftsearch.backbones.anatomy import anatomy_of

        decay, parts = float(settings["layer_decay"]), anatomy_of(encoder)
        factors = {layer.name: decay**above for above, layer in enumerate(reversed(parts.layers))}
        factors |= {name: decay ** len(parts.layers) for name in parts.embeddings}
        return {
            name: factor
            for name, _ in encoder.named_parameters()
            for block, factor in factors.items()
            if name.startswith(f"{block}.")
        }
