"""AdaLoRA, by PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library.lora import ALPHA_RATIO, ON_LINEAR, LinearMethod, targets

if TYPE_CHECKING:
    from torch import Tensor, nn

    from peftsearch.backbones.anatomy import Anatomy

INITIAL_SHARE, FINAL_SHARE, ALLOCATIONS = 0.1, 0.3, 100
"""Share of the steps before ranks are taken away and after the last is; how often they are taken in between."""

ORTHOGONALITY = 0.5
"""Weight of the paper's penalty on singular vectors that are not orthogonal; PEFT's default."""


class AdaLora(LinearMethod):
    """LoRA as a singular value decomposition, whose least important values are set to zero as training goes on."""

    name = "adalora"
    summary = "AdaLoRA: low-rank products whose ranks are moved to where they matter"
    paper = "Zhang et al. 2023, https://arxiv.org/abs/2303.10512"
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(3e-4, 3e-2),
        "rank": Hyperparameter(Choice((4, 8, 16)), Range(1, 4096, integer=True), "of a product in the end, on average"),
        "alpha_ratio": replace(ALPHA_RATIO, summary="alpha over the final rank"),
        "initial_ratio": Hyperparameter(Fixed(1.5), Range(1.0, 16.0), "the rank at the start over that in the end"),
        **ON_LINEAR,
        "dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), "before each product"),
    }

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from peft import AdaLoraConfig

        rank = int(settings["rank"])
        return AdaLoraConfig(
            task_type="FEATURE_EXTRACTION",
            init_r=max(rank, round(rank * float(settings["initial_ratio"]))),
            target_r=rank,
            lora_alpha=float(settings["alpha_ratio"]) * rank,
            lora_dropout=float(settings["dropout"]),
            orth_reg_weight=ORTHOGONALITY,
            total_step=1,  # PEFT 0.21.2 asks for it here; `begin` knows it
            target_modules=targets(anatomy, settings),
        )

    def begin(self, encoder: nn.Module, settings: Settings, steps: int) -> None:
        config: Any = encoder.peft_config["default"]  # type: ignore[index]
        config.total_step = steps
        config.tinit, config.tfinal = int(INITIAL_SHARE * steps), int(FINAL_SHARE * steps)
        config.deltaT = max(1, steps // ALLOCATIONS)

    def before_step(self, encoder: nn.Module, settings: Settings) -> None:
        """Add the gradient of the penalty, which PEFT 0.21.2 adds only to a loss that the encoder itself computes."""
        (ORTHOGONALITY * non_orthogonality(encoder)).backward()  # type: ignore[no-untyped-call]

    def after_step(self, encoder: nn.Module, settings: Settings, step: int) -> None:
        tuner: Any = encoder.base_model
        tuner.update_and_allocate(step)


def non_orthogonality(encoder: nn.Module) -> Tensor:
    """The mean distance of `A Aᵀ` and `Bᵀ B` from the identity (Frobenius norm), over all matrices."""
    import torch

    found = []
    for name, matrix in encoder.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            square = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
            found.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device)))
    return torch.stack(found).mean()
