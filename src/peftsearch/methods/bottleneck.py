"""Bottleneck adapters, by AdapterHub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods import adapterhub_format
from peftsearch.methods.base import Hyperparameter, Method, Settings, learning_rate

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy

NON_LINEARITIES = ("relu", "gelu", "swish", "tanh")


class SequentialBottleneck(Method):
    """A narrow two-layer network after each frozen layer's feed-forward part."""

    name = "seq_bn"
    summary = "bottleneck adapters: a narrow network is trained after each frozen layer"
    paper = "Pfeiffer et al. 2020, https://arxiv.org/abs/2005.00247"
    library = "adapters"
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "reduction_factor": Hyperparameter(
            Choice((4, 16, 64)), Range(1, 4096), "the encoder's width over the bottleneck's"),
        "non_linearity": Hyperparameter(Fixed("relu"), Choice(NON_LINEARITIES), "inside the bottleneck"),
    }  # fmt: skip

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if anatomy.model_type == "mpnet":
            return "AdapterHub has no bottleneck adapters for mpnet"
        if int(anatomy.hidden_size // float(settings["reduction_factor"])) < 1:
            return f"reduction_factor is {settings['reduction_factor']}, but its width is {anatomy.hidden_size}"
        return None

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        from adapters import SeqBnConfig

        config = SeqBnConfig(
            reduction_factor=settings["reduction_factor"], non_linearity=str(settings["non_linearity"])
        )
        return adapterhub_format.wrap(encoder, config)

    def save(self, encoder: nn.Module, folder: Path) -> None:
        adapterhub_format.save(encoder, folder)

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        return adapterhub_format.load(encoder, folder)
