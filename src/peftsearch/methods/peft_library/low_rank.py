"""Low-rank relatives of LoRA, by PEFT: VeRA, LoHa and LoKr."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library.lora import ALPHA_RATIO, ON_LINEAR, RANK, LinearMethod, targets

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy

MODULE_DROPOUT = Hyperparameter(Fixed(0.0), Range(0.0, 0.9), "probability that a product is left out of a step")

PRODUCT: Mapping[str, Hyperparameter] = {
    "learning_rate": learning_rate(1e-3, 3e-2),
    "rank": RANK,
    "alpha_ratio": ALPHA_RATIO,
    **ON_LINEAR,
    "module_dropout": MODULE_DROPOUT,
}
"""The hyperparameters of LoHa and LoKr."""


class Vera(LinearMethod):
    """Two random frozen matrices are shared by all layers, and each layer trains two vectors that scale them."""

    name = "vera"
    summary = "VeRA: vectors that scale a random low-rank product shared by all layers are trained"
    paper = "Kopiczko et al. 2023, https://arxiv.org/abs/2310.11454"
    when = (
        "Where a model for each user or task has to be stored: its paper reports LoRA's quality with far fewer "
        "parameters. On the questions it had 0.878 with 17,670 parameters, and LoRA 0.882 with 76,038."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-3, 1e-1),
        "rank": Hyperparameter(Choice((64, 256, 1024)), Range(1, 65_536, integer=True), "rank of the shared matrices"),
        **ON_LINEAR,
        "dropout": Hyperparameter(Fixed(0.0), Range(0.0, 0.9), "dropout before each product"),
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
    """The Hadamard product of two low-rank products is added, which has a higher rank with as many parameters."""

    name = "loha"
    summary = "LoHa: a Hadamard product of two low-rank products is trained beside frozen linear layers"
    paper = "Hyeon-Woo et al. 2021, https://arxiv.org/abs/2108.06098"
    when = (
        "Where LoRA's rank is too low and more parameters are not wanted: its paper's product reaches a higher rank "
        "with as many. On the questions it was the best of all (0.897) at 5e-3, and had 0.743 near 1e-3, so search "
        "its learning rate."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = PRODUCT

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import LoHaConfig

        return LoHaConfig(**_product(anatomy, settings))


class LoKr(LinearMethod):
    """The Kronecker product of a small matrix and a low-rank product is added."""

    name = "lokr"
    summary = "LoKr: a Kronecker product is trained beside frozen linear layers"
    paper = "Yeh et al. 2023, https://arxiv.org/abs/2309.14859"
    when = (
        "Where LoRA's files are still too large: at rank 8 it trained 17,670 parameters on the questions, a quarter "
        "of what LoRA trained at rank 4, and had 0.877. Its learning rate has to be near 1e-2."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = PRODUCT

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import LoKrConfig

        return LoKrConfig(**_product(anatomy, settings))


def _product(anatomy: Anatomy, settings: Settings) -> dict[str, Any]:
    rank = int(settings["rank"])
    return {
        "task_type": "FEATURE_EXTRACTION",
        "r": rank,
        "alpha": float(settings["alpha_ratio"]) * rank,
        "module_dropout": float(settings["module_dropout"]),
        "target_modules": targets(anatomy, settings),
    }
