"""Layer freezing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from peftsearch.core.dimensions import Range
from peftsearch.methods.base import EncoderMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, layer_count, learning_rate, wrong_layer_count

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy


class Frozen(EncoderMethod):
    """The embeddings and the first layers are frozen, and the rest of the encoder is trained."""

    name = "frozen"
    summary = "layer freezing: the embeddings and the first layers are frozen, the rest is trained"
    paper = "Lee et al. 2019, https://arxiv.org/abs/1911.03090"
    when = (
        "Where training shall take less time than full fine-tuning and lose little. By its paper a quarter of the "
        "layers is enough for 90 % of the quality; on the questions it had 0.890 in half of full fine-tuning's "
        "time."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-5, 1e-3),
        "frozen_layers": Hyperparameter(
            Range(0.25, 0.85), Range(0, 1000), "number of frozen layers (3), or their share (0.5)", short_name="frozen"
        ),
    }

    def passes(self, settings: Settings, epochs: int) -> float:
        """One for all that is frozen, whose states are kept, and three in each epoch for the share that is trained.

        How many layers the encoder has is not known here, so a number of frozen layers is taken for half of them.
        """
        asked = settings.get("frozen_layers")
        frozen = asked if isinstance(asked, float) and asked <= 1 else 0.5
        return 1.0 + 3.0 * epochs * (1.0 - frozen)

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        return wrong_layer_count("frozen_layers", settings["frozen_layers"], len(anatomy.layers))

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        from peftsearch.backbones.anatomy import anatomy_of, modules

        parts = anatomy_of(encoder)
        count = layer_count(settings["frozen_layers"], len(parts.layers))
        encoder.requires_grad_(True)
        for module in modules(encoder, (*parts.embeddings, *(layer.name for layer in parts.layers[:count]))):
            module.requires_grad_(False)
        return encoder
