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
"""The shares of all steps before the first and after the last rank allocation, and the number of allocations."""

IMPORTANCE, PATTERN = ("ipt", "exp_avg_ipt", "exp_avg_unc"), "rank_pattern"
"""PEFT's names for what it allocates the ranks by, and for the result."""

ORTHOGONALITY = 0.5
"""The weight of the paper's penalty on singular vectors that are not orthogonal; it is PEFT's default."""


class AdaLora(LinearMethod):
    """LoRA in the form of a singular value decomposition; training sets its least important values to zero."""

    name = "adalora"
    summary = "AdaLoRA: LoRA whose ranks are allocated to the layers where they matter most"
    paper = "Zhang et al. 2023, https://arxiv.org/abs/2303.10512"
    when = (
        "Where so few parameters may be trained that it matters which layers get them: its paper sees the largest "
        "gains there. On the questions it was level with LoRA (0.876 and 0.882), and trained for a third longer."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(3e-4, 3e-2),
        "rank": Hyperparameter(Choice((4, 8, 16)), Range(1, 4096, integer=True), "average rank at the end"),
        "alpha_ratio": replace(ALPHA_RATIO, summary="alpha over the final rank"),
        "initial_ratio": Hyperparameter(Fixed(1.5), Range(1.0, 16.0), "rank at the start over the rank at the end"),
        **ON_LINEAR,
        "dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), "dropout before each product"),
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
        """Add the penalty's gradient, because PEFT 0.21.2 adds the penalty only to a loss that the encoder computes."""
        (ORTHOGONALITY * non_orthogonality(encoder)).backward()  # type: ignore[no-untyped-call]

    def after_step(self, encoder: nn.Module, settings: Settings, step: int) -> None:
        tuner: Any = encoder.base_model
        tuner.update_and_allocate(step)

    def hook_state(self, encoder: nn.Module) -> Mapping[str, Tensor]:
        """The importance of each value, of which PEFT keeps three averages, and which values are left."""
        import torch

        tuner: Any = encoder.base_model
        averages = {kind: getattr(tuner.rankallocator, kind) for kind in IMPORTANCE}
        left = {name: torch.tensor(kept) for name, kept in (tuner.peft_config["default"].rank_pattern or {}).items()}
        parts = {**averages, PATTERN: left}
        return {f"{part}:{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}

    def restore_hook_state(self, encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
        tuner: Any = encoder.base_model
        device, left = next(encoder.parameters()).device, {}
        for key, tensor in state.items():
            part, _, name = key.partition(":")
            if part == PATTERN:
                left[name] = tensor.tolist()
            else:
                getattr(tuner.rankallocator, part)[name] = tensor.to(device)
        tuner.peft_config["default"].rank_pattern = left or None


def non_orthogonality(encoder: nn.Module) -> Tensor:
    """The mean distance of `A Aᵀ` and `Bᵀ B` from the identity (Frobenius norm), over all matrices."""
    import torch

    found = []
    for name, matrix in encoder.named_parameters():
        if ".lora_A." in name or ".lora_B." in name:
            square = matrix @ matrix.T if ".lora_A." in name else matrix.T @ matrix
            found.append(torch.linalg.matrix_norm(square - torch.eye(len(square), device=square.device)))
    return torch.stack(found).mean()
