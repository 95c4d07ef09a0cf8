"""LoRA, by PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods import peft_format
from peftsearch.methods.base import Hyperparameter, Method, Settings, learning_rate

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy

TARGETS = ("query_value", "attention", "all")
"""Each but `all` (every linear module of the layers) is a property of `Anatomy`."""


class Lora(Method):
    """Frozen weights, and beside some of them the product of two thin matrices that are trained."""

    name = "lora"
    summary = "LoRA: a low-rank product is trained beside frozen linear layers"
    paper = "Hu et al. 2021, https://arxiv.org/abs/2106.09685"
    library = "peft"
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "rank": Hyperparameter(Choice((4, 8, 16, 32)), Range(1, 4096, integer=True), "of each product"),
        "alpha_ratio": Hyperparameter(Choice((1, 2, 4)), Range(0.01, 1024), "alpha over rank: the product's weight"),
        "targets": Hyperparameter(Choice(TARGETS), Choice(TARGETS), "which linear layers; a fused one as a whole"),
        "dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), "before each product"),
        "rslora": Hyperparameter(
            Fixed(False), Choice((False, True)), "weight by alpha / sqrt(rank), https://arxiv.org/abs/2312.03732"),
    }  # fmt: skip

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        from peft import LoraConfig

        from peftsearch.backbones.anatomy import anatomy

        rank = int(settings["rank"])
        config = LoraConfig(
            task_type="FEATURE_EXTRACTION",
            r=rank,
            lora_alpha=float(settings["alpha_ratio"]) * rank,
            lora_dropout=float(settings["dropout"]),
            use_rslora=bool(settings["rslora"]),
            target_modules=list(targets(anatomy(encoder), str(settings["targets"]))),
        )
        return peft_format.wrap(encoder, config)

    def save(self, encoder: nn.Module, folder: Path) -> None:
        peft_format.save(encoder, folder)

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        return peft_format.load(encoder, folder)


def targets(anatomy: Anatomy, name: str) -> tuple[str, ...]:
    """The full names of the linear modules that `name` (of `TARGETS`) stands for."""
    table = {"query_value": anatomy.query_value, "attention": anatomy.attention, "all": anatomy.all_linear}
    return table[name]
