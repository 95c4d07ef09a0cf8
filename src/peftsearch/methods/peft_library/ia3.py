"""(IA)3, by PEFT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library.base import PeftMethod

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy


class Ia3(PeftMethod):
    """Trained vectors scale the keys, the values and the inner activations of each feed-forward module."""

    name = "ia3"
    summary = "(IA)3: vectors that scale keys, values and inner activations are trained"
    paper = "Liu et al. 2022, https://arxiv.org/abs/2205.05638"
    when = (
        "Where there are few texts, which its paper is about, or where the trained part has to be tiny. On the "
        "questions it had 0.894 with 16,134 parameters, among the best of all."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {"learning_rate": learning_rate(1e-3, 1e-1, start=5e-2)}

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
