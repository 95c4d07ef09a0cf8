"""Methods that combine several kinds of adapters, by AdapterHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Fixed, Range
from peftsearch.methods.adapterhub.base import TOP_LAYERS, leave_out
from peftsearch.methods.adapterhub.bottleneck import Bottleneck, non_linearity, reduction
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy


def tokens(default: int) -> Hyperparameter:
    """The hyperparameter that sets the length of the prefix."""
    return Hyperparameter(
        Fixed(default),
        Range(1, 512, integer=True),
        "trained keys and values in each layer",
        short_name="tokens",
    )


class UniPelt(Bottleneck):
    """A prefix, bottleneck adapters, and LoRA on queries and values are trained, each behind a trained gate."""

    name = "unipelt"
    summary = "UniPELT: a prefix, bottleneck adapters and LoRA, each behind a trained gate"
    paper = "Mao et al. 2021, https://arxiv.org/abs/2110.07577"
    when = (
        "Where it is not known which of prefix, adapters and LoRA suits the task: its gates choose, and its paper "
        "finds it better than each alone. On the questions it had 0.892, with 3.1 million parameters."
    )
    has_prefix = True
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "virtual_tokens": tokens(10),
        "reduction_factor": reduction(4, 16, 64),
        "non_linearity": non_linearity("relu"),
        "rank": Hyperparameter(Fixed(8), Range(1, 4096, integer=True), "rank of LoRA's products"),
        "top_layers": TOP_LAYERS,
    }

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from adapters import LoRAConfig, PrefixTuningConfig, SeqBnConfig, UniPELTConfig

        left_out, rank = leave_out(anatomy, settings), int(settings["rank"])
        return UniPELTConfig(
            prefix_tuning=PrefixTuningConfig(prefix_length=int(settings["virtual_tokens"]), leave_out=left_out),
            adapter=SeqBnConfig(
                reduction_factor=settings["reduction_factor"],
                non_linearity=str(settings["non_linearity"]),
                leave_out=left_out,
            ),
            lora=LoRAConfig(r=rank, alpha=2 * rank, leave_out=left_out),
        )


class MixAndMatch(Bottleneck):
    """A prefix, and bottlenecks in parallel to the feed-forward modules, are trained."""

    name = "mam"
    summary = "Mix-and-Match: a prefix, and parallel adapters"
    paper = "He et al. 2021, https://arxiv.org/abs/2110.04366"
    when = (
        "Where both a prefix and adapters are affordable: its paper finds them together as good as full "
        "fine-tuning. On the questions it had 0.859 with 4.24 million parameters, so simpler methods came first."
    )
    has_prefix = True
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "virtual_tokens": tokens(30),
        "reduction_factor": reduction(2, 8, 32),
        "non_linearity": non_linearity("relu"),
        "top_layers": TOP_LAYERS,
    }

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        from adapters import MAMConfig, ParBnConfig, PrefixTuningConfig

        left_out = leave_out(anatomy, settings)
        return MAMConfig(
            prefix_tuning=PrefixTuningConfig(
                prefix_length=int(settings["virtual_tokens"]), bottleneck_size=800, leave_out=left_out
            ),
            adapter=ParBnConfig(
                reduction_factor=settings["reduction_factor"],
                non_linearity=str(settings["non_linearity"]),
                leave_out=left_out,
            ),
        )
