"""LoRA, by PEFT, and the choice of the linear modules that it adapts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, layer_count, learning_rate, wrong_layer_count
from peftsearch.methods.peft_library.base import PeftMethod

if TYPE_CHECKING:
    from torch import nn

    from peftsearch.backbones.anatomy import Anatomy

TARGETS = ("query_value", "attention", "all")
"""Sets of linear modules: queries and values, all of attention, or every linear module of the layers."""

RANK = Hyperparameter(Choice((4, 8, 16, 32)), Range(1, 4096, integer=True), "rank of each product")
ALPHA_RATIO = Hyperparameter(
    Choice((1, 2, 4)), Range(0.01, 1024), "alpha over rank, the scale of the product", short_name="alpha/rank"
)

ON_LINEAR: dict[str, Hyperparameter] = {
    "targets": Hyperparameter(Choice(TARGETS), Choice(TARGETS), "adapted linear modules; a fused one as a whole"),
    "top_layers": Hyperparameter(
        Fixed(1.0), Range(0, 1000), "how many of the last layers are adapted (3), or a share (0.5)"
    ),
}
"""The hyperparameters that choose which linear modules a method adapts."""


def targets(anatomy: Anatomy, settings: Settings) -> list[str]:
    """The full names of the linear modules that `targets` and `top_layers` choose."""
    count = layer_count(settings["top_layers"], len(anatomy.layers))
    top = replace(anatomy, layers=anatomy.layers[len(anatomy.layers) - count :])
    table = {"query_value": top.query_value, "attention": top.attention, "all": top.all_linear}
    return list(table[str(settings["targets"])])


def no_targets(anatomy: Anatomy, settings: Settings) -> str | None:
    """Why `targets` and `top_layers` choose no module, in half a sentence; None if they choose one."""
    wrong = wrong_layer_count("top_layers", settings["top_layers"], len(anatomy.layers))
    if wrong:
        return wrong
    if layer_count(settings["top_layers"], len(anatomy.layers)) < 1:
        return f"top_layers is {settings['top_layers']}, which is none of its {len(anatomy.layers)} layers"
    if settings["targets"] != "all" and not anatomy.attention:
        return f"{anatomy.model_type} has no attention; choose targets: all"
    return None


class LinearMethod(PeftMethod):
    """A method that adapts the linear modules that `ON_LINEAR` chooses."""

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        return no_targets(anatomy, settings)


class Lora(LinearMethod):
    """A product of two thin trained matrices is added to some of the frozen weight matrices."""

    name = "lora"
    summary = "LoRA: a low-rank product is trained beside frozen linear layers"
    paper = "Hu et al. 2021, https://arxiv.org/abs/2106.09685"
    when = (
        "As the first choice where full fine-tuning takes too much memory or disk: merged into the weights, it "
        "answers as fast as the encoder itself. It needs a far higher learning rate than full fine-tuning; on the "
        "questions it was level with it (0.882)."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2, start=2e-3),
        "rank": RANK,
        "alpha_ratio": ALPHA_RATIO,
        **ON_LINEAR,
        "dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), "dropout before each product"),
        "rslora": Hyperparameter(
            Fixed(False), Choice((False, True)), "scale by alpha / sqrt(rank), https://arxiv.org/abs/2312.03732"),
        "dora": Hyperparameter(
            Fixed(False), Choice((False, True)), "train the weights' magnitudes too, https://arxiv.org/abs/2402.09353"),
        "b_learning_rate_ratio": Hyperparameter(
            Fixed(1.0), Range(0.01, 1000.0), "multiplier of B's learning rate (LoRA+), https://arxiv.org/abs/2402.12354"),
        "initialization": Hyperparameter(
            Fixed("zero"), Choice(("zero", "pissa")),
            "pissa starts from the weights' largest singular vectors, https://arxiv.org/abs/2404.02948"),
    }  # fmt: skip

    def settings_on_meta_device(self, settings: Settings) -> Settings:
        """PiSSA decomposes the pretrained weights; it adds as many parameters as the start at zero."""
        return {**settings, "initialization": "zero"}

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import LoraConfig

        rank = int(settings["rank"])
        return LoraConfig(
            task_type="FEATURE_EXTRACTION",
            r=rank,
            lora_alpha=float(settings["alpha_ratio"]) * rank,
            lora_dropout=float(settings["dropout"]),
            use_rslora=bool(settings["rslora"]),
            use_dora=bool(settings["dora"]),
            init_lora_weights="pissa" if settings["initialization"] == "pissa" else True,
            target_modules=targets(anatomy, settings),
        )

    def learning_rate_multipliers(self, encoder: nn.Module, settings: Settings) -> Mapping[str, float]:
        ratio = float(settings["b_learning_rate_ratio"])
        return {name: ratio for name, _ in encoder.named_parameters() if ".lora_B." in name}
