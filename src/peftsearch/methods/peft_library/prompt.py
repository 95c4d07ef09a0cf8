"""Prompt tuning and p-tuning, by PEFT: trained virtual tokens stand before the text."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.backbones.heads import HEADS, heads_for_any_encoder
from peftsearch.core.dimensions import Choice, Range
from peftsearch.methods.hyperparameters import Hyperparameter, Settings, learning_rate
from peftsearch.methods.peft_library.base import PeftMethod

if TYPE_CHECKING:
    from peftsearch.backbones.anatomy import Anatomy

TOKENS = Hyperparameter(
    Range(4, 40, integer=True),
    Range(1, 512, integer=True),
    "number of trained embeddings before those of the text",
    short_name="tokens",
)


class SoftPrompt(PeftMethod):
    """The embeddings of a few virtual tokens are trained, and the encoder is frozen."""

    merges = False
    changes_input = True

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        if HEADS[str(settings["head"])].native and anatomy.family.pooler_takes_first_state:
            return f"{anatomy.model_type}'s own head would read a virtual token; choose head: {heads_for_any_encoder()}"
        return None

    def positions_taken(self, anatomy: Anatomy, settings: Settings) -> int:
        return int(settings["virtual_tokens"])

    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        return self.kind()(
            task_type="FEATURE_EXTRACTION",
            num_virtual_tokens=int(settings["virtual_tokens"]),
            # PEFT 0.21.2 does not find these sizes in DistilBERT's configuration, and finds a wrong token_dim where
            # the embeddings are narrower than the hidden states, as in ELECTRA and ALBERT.
            num_layers=len(anatomy.layers),
            token_dim=anatomy.embedding_size,
            num_attention_heads=1,
            **self.options(anatomy, settings),
        )

    @abstractmethod
    def kind(self) -> Any:
        """PEFT's configuration class."""

    def options(self, anatomy: Anatomy, settings: Settings) -> dict[str, Any]:
        """Further arguments of the configuration class."""
        return {}


class Prompt(SoftPrompt):
    """The virtual tokens' embeddings are trained directly."""

    name = "prompt"
    summary = "prompt tuning: trained virtual tokens stand before the text"
    paper = "Lester et al. 2021, https://arxiv.org/abs/2104.08691"
    when = (
        "With encoders that are far larger: its paper finds it level with full fine-tuning only beyond billions of "
        "parameters. On the questions it had 0.851, and trained the longest of all."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-3, 3e-1),
        "virtual_tokens": TOKENS,
    }

    def kind(self) -> Any:
        from peft import PromptTuningConfig

        return PromptTuningConfig


class PTuning(SoftPrompt):
    """A small trained network generates the virtual tokens' embeddings."""

    name = "p_tuning"
    summary = "p-tuning: virtual tokens before the text, trained through a small network"
    paper = "Liu et al. 2021, https://arxiv.org/abs/2103.10385"
    when = (
        "Where virtual tokens are wanted, for few or for many texts, as in its paper. On the questions it stayed "
        "below most methods (0.838), and trained almost as long as prompt tuning."
    )
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "learning_rate": learning_rate(1e-4, 1e-1),
        "virtual_tokens": TOKENS,
        "network": Hyperparameter(Choice(("mlp", "lstm")), Choice(("mlp", "lstm")), "generates the embeddings"),
    }

    def kind(self) -> Any:
        from peft import PromptEncoderConfig

        return PromptEncoderConfig

    def options(self, anatomy: Anatomy, settings: Settings) -> dict[str, Any]:
        return {
            "encoder_reparameterization_type": str(settings["network"]).upper(),
            "encoder_hidden_size": anatomy.embedding_size,
        }
