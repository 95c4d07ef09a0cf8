"""Relatives of LoRA, by PEFT: shared random matrices, Hadamard and Kronecker products, scaled activations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.base import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library.format import PeftMethod
from peftsearch.methods.peft_library.lora import ON_LINEAR, LinearMethod, targets

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy

RANK = Hyperparameter(Choice((4, 8, 16, 32)), Range(1, 4096, integer=True), "of each product")
ALPHA = Hyperparameter(Choice((1, 2, 4)), Range(0.01, 1024), "alpha over rank: the product's weight")
MODULE_DROPOUT = Hyperparameter(Fixed(0.0), Range(0.0, 0.9), "share of the products left out of a step")

PRODUCT: Mapping[str, Hyperparameter] = {
    "learning_rate": learning_rate(1e-3, 3e-2),
    "rank": RANK,
    "alpha_ratio": ALPHA,
    **ON_LINEAR,
    "module_dropout": MODULE_DROPOUT,
}
"""Of the methods that train a product beside each layer, as `_product` reads them."""


class Vera(LinearMethod):
    """Two random frozen matrices shared by all layers of a shape, and two trained vectors a layer that scale them."""

    name = "vera"
    summary = "VeRA: vectors that scale a random low-rank product shared by all layers are trained"
    paper = "Kopiczko et al. 2023, https://arxiv.org/abs/2310.11454"
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-3, 1e-1),
        "rank": Hyperparameter(Choice((64, 256, 1024)), Range(1, 65_536, integer=True), "of the shared matrices"),
        **ON_LINEAR,
        "dropout": Hyperparameter(Fixed(0.0), Range(0.0, 0.9), "before each product"),
    }

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import VeraConfig

        return VeraConfig(
            task_type="FEATURE_EXTRACTION",
            r=int(settings["rank"]),
            vera_dropout=float(settings["dropout"]),
            target_modules=targets(anatomy, settings),
        )


class LoHa(LinearMethod):
    """The elementwise product of two low-rank products: a higher rank from as many numbers."""

    name = "loha"
    summary = "LoHa: an elementwise product of two low-rank products is trained beside frozen linear layers"
    paper = "Hyeon-Woo et al. 2021, https://arxiv.org/abs/2108.06098"
    own: ClassVar[Mapping[str, Hyperparameter]] = PRODUCT

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import LoHaConfig

        return LoHaConfig(**_product(anatomy, settings))


class LoKr(LinearMethod):
    """The Kronecker product of a small matrix and a low-rank product."""

    name = "lokr"
    summary = "LoKr: a Kronecker product is trained beside frozen linear layers"
    paper = "Yeh et al. 2023, https://arxiv.org/abs/2309.14859"
    own: ClassVar[Mapping[str, Hyperparameter]] = PRODUCT

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import LoKrConfig

        return LoKrConfig(**_product(anatomy, settings))


class Ia3(PeftMethod):
    """Trained vectors that scale the keys, the values and the inner states of each feed-forward part."""

    name = "ia3"
    summary = "(IA)3: vectors that scale keys, values and inner activations are trained"
    paper = "Liu et al. 2022, https://arxiv.org/abs/2205.05638"
    own: ClassVar[Mapping[str, Hyperparameter]] = {"learning_rate": learning_rate(1e-3, 1e-1)}

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        return None if anatomy.attention else f"{anatomy.model_type} has no attention"

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import IA3Config

        inner = [layer.feed_forward[-1] for layer in anatomy.layers]
        return IA3Config(
            task_type="FEATURE_EXTRACTION",
            target_modules=[*anatomy.key_value, *inner],
            feedforward_modules=inner,
        )


def _product(anatomy: Anatomy, settings: Settings) -> dict[str, Any]:
    rank = int(settings["rank"])
    return {
        "task_type": "FEATURE_EXTRACTION",
        "r": rank,
        "alpha": float(settings["alpha_ratio"]) * rank,
        "module_dropout": float(settings["module_dropout"]),
        "target_modules": targets(anatomy, settings),
    }
