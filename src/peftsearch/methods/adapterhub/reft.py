"""Representation fine-tuning, by AdapterHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.adapterhub.base import TOP_LAYERS, AdapterHubMethod, leave_out
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.anatomy import Anatomy


class LoReft(AdapterHubMethod):
    """The first tokens' states are edited after each frozen layer, within a trained low-rank subspace."""

    name = "loreft"
    summary = "LoReFT: the states of the first tokens are edited within a small trained subspace"
    paper = "Wu et al. 2024, https://arxiv.org/abs/2404.03592"
    when = (
        "With large language models, for which its paper reports fewer parameters than LoRA's. On the questions it "
        "stayed far below the other methods (0.760 at 1e-2), because only the first tokens are edited."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-3, 1e-1),
        "rank": Hyperparameter(Choice((1, 4, 8)), Range(1, 4096, integer=True), "rank of the subspace"),
        "positions": Hyperparameter(Range(1, 8, integer=True), Range(1, 512, integer=True), "number of edited tokens"),
        "dropout": Hyperparameter(Fixed(0.05), Range(0.0, 0.9), "dropout of the edit"),
        "top_layers": TOP_LAYERS,
    }

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if int(settings["rank"]) > anatomy.hidden_size:
            return f"rank is {settings['rank']}, but its width is {anatomy.hidden_size}"
        return super().unsupported(anatomy, settings)

    def constants(self, encoder: nn.Module) -> Mapping[str, Tensor]:
        """The random starts of the orthogonal projections, to which the trained parameters are relative."""
        return {
            name: tensor for name, tensor in encoder.named_buffers() if name.endswith(".parametrizations.weight.0.base")
        }

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from adapters import LoReftConfig

        left_out = leave_out(anatomy, settings)
        return LoReftConfig(
            layers=list(range(len(left_out), len(anatomy.layers))) if left_out else "all",
            tied_weights=True,  # otherwise adapters 1.3.0 adds an edit of the last tokens, which never runs
            prefix_positions=int(settings["positions"]),
            r=int(settings["rank"]),
            dropout=float(settings["dropout"]),
        )
