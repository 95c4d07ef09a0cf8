"""Bottleneck adapters, by AdapterHub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.adapterhub.base import TOP_LAYERS, AdapterHubMethod, leave_out
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy

NON_LINEARITIES = ("relu", "gelu", "swish", "tanh")


def reduction(*options: int) -> Hyperparameter:
    """The hyperparameter that sets the bottleneck's width."""
    return Hyperparameter(
        Choice(options), Range(1, 4096), "width of the encoder over the width of the bottleneck", short_name="reduction"
    )


def non_linearity(default: str) -> Hyperparameter:
    """The hyperparameter that sets the activation function."""
    return Hyperparameter(Fixed(default), Choice(NON_LINEARITIES), "activation function in the bottleneck")


def bottleneck_width(anatomy: Anatomy, settings: Settings) -> int:
    """The width of the bottleneck, rounded as AdapterHub does."""
    return int(anatomy.hidden_size // float(settings["reduction_factor"]))


class Bottleneck(AdapterHubMethod):
    """Narrow two-layer networks are trained in each frozen layer."""

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if bottleneck_width(anatomy, settings) < 1:
            return f"reduction_factor is {settings['reduction_factor']}, but its width is {anatomy.hidden_size}"
        return super().unsupported(anatomy, settings)

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        return self.kind()(
            reduction_factor=settings["reduction_factor"],
            non_linearity=str(settings["non_linearity"]),
            leave_out=leave_out(anatomy, settings),
        )

    def kind(self) -> Any:
        """AdapterHub's configuration class."""
        raise NotImplementedError


class SequentialBottleneck(Bottleneck):
    """A bottleneck follows the feed-forward module of each layer."""

    name = "seq_bn"
    summary = "bottleneck adapters: a narrow network is trained after each frozen layer"
    paper = "Pfeiffer et al. 2020, https://arxiv.org/abs/2005.00247"
    when = (
        "Where one encoder serves many tasks, each with a small file of its own, as in its paper. On emotions it "
        "was the best of eight methods (0.879), with 0.5 % of the parameters."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2, start=4e-3),
        "reduction_factor": reduction(4, 16, 64),
        "non_linearity": non_linearity("relu"),
        "top_layers": TOP_LAYERS,
    }

    def kind(self) -> Any:
        from adapters import SeqBnConfig

        return SeqBnConfig


class DoubleSequentialBottleneck(Bottleneck):
    """A bottleneck follows the attention module of each layer, and another its feed-forward module."""

    name = "double_seq_bn"
    summary = "double bottleneck adapters: narrow networks after each frozen layer's attention and feed-forward module"
    paper = "Houlsby et al. 2019, https://arxiv.org/abs/1902.00751"
    when = (
        "As seq_bn, where twice its parameters are allowed. Its paper comes within 0.4 points of full fine-tuning; "
        "on the questions it was level with it (0.879 and 0.880), in 70 % of the time."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "reduction_factor": reduction(4, 16, 64),
        "non_linearity": non_linearity("swish"),
        "top_layers": TOP_LAYERS,
    }

    def kind(self) -> Any:
        from adapters import DoubleSeqBnConfig

        return DoubleSeqBnConfig


class ParallelBottleneck(Bottleneck):
    """A bottleneck runs in parallel to the feed-forward module of each layer."""

    name = "par_bn"
    summary = "parallel adapters: a narrow network is trained beside each frozen feed-forward module"
    paper = "He et al. 2021, https://arxiv.org/abs/2110.04366"
    when = (
        "As seq_bn; its paper finds a network beside a layer better than one after it. On the questions it had "
        "0.872, and seq_bn 0.861."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-2),
        "reduction_factor": reduction(2, 8, 32),
        "non_linearity": non_linearity("relu"),
        "top_layers": TOP_LAYERS,
    }

    def kind(self) -> Any:
        from adapters import ParBnConfig

        return ParBnConfig


class Compacter(Bottleneck):
    """As `double_seq_bn`, with matrices that are sums of Kronecker products whose small factors all layers share."""

    name = "compacter"
    summary = "Compacter: double bottleneck adapters made of shared Kronecker factors"
    paper = "Karimi Mahabadi et al. 2021, https://arxiv.org/abs/2106.04647"
    when = (
        "Where adapters are wanted and their files have to be tiny. Its paper finds it better than full fine-tuning "
        "on few texts; on the questions it had 0.856 with 17,926 parameters."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-3, 3e-2),
        "reduction_factor": reduction(8, 32),
        "non_linearity": non_linearity("gelu"),
        "top_layers": TOP_LAYERS,
    }
    factors = 4
    """The number of Kronecker products in a sum, as in the paper."""

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        width = bottleneck_width(anatomy, settings)
        if width % self.factors or anatomy.hidden_size % self.factors:
            return f"its width {anatomy.hidden_size} and the bottleneck's {width} must be multiples of {self.factors}"
        return super().unsupported(anatomy, settings)

    def kind(self) -> Any:
        from adapters import CompacterConfig

        return CompacterConfig
