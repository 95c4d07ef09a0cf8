"""The contract of a tuning method: `EncoderMethod` tunes a pretrained encoder, `TextMethod` needs none.

A method declares itself without heavy imports; torch, peft, adapters and scikit-learn load inside its functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from peftsearch.backbones.anatomy import Anatomy, anatomy_of_config
from peftsearch.backbones.heads import HEADS, heads_for_any_encoder
from peftsearch.core.errors import UserError
from peftsearch.methods.hyperparameters import SHARED, Hyperparameter, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from peftsearch.backbones.names import ResolvedModel

Library = Literal["torch", "peft", "adapters"]


class Method(ABC):
    """What any method declares. One instance stands in the table; it holds no state of a trial."""

    name: str
    """Its key in `METHODS` and in study files."""
    summary: str
    paper: str
    """Authors, year and address of the paper that describes it."""
    when: str
    """When to use it, in a sentence or two: what its paper says, and what was measured in docs/experiments.md.

    `the questions` are 1,500 TREC questions, and scores are macro F1; both are said where this is shown.
    """
    own: ClassVar[Mapping[str, Hyperparameter]]
    """The method's own hyperparameters."""
    takes_steps: ClassVar[bool]
    """Whether an optimizer trains it as the `training:` section says; if not, the section has no effect."""
    random: ClassVar[bool] = True
    """Whether another seed gives another classifier."""

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Every hyperparameter that a study may name under this method, with the method's own defaults."""
        return dict(self.own)

    @abstractmethod
    def passes(self, settings: Settings, epochs: int) -> float:
        """How much a trial computes, in passes over the training rows, forward through the whole encoder.

        This is known before anything is trained. It decides which starting points are tried first, and what the time of
        some trials says about that of others. What the head, evaluation and loading take is left out.

        Args:
            settings: a value for every name in `hyperparameters`.
            epochs: how often the rows are trained on.
        """

    @abstractmethod
    def check_supported(self, resolved: ResolvedModel, settings: Settings, max_length: int = 0) -> None:
        """Check that the method works with these settings on this backbone; reads its `config.json`, loads no torch.

        Args:
            max_length: tokens of the longest text; 0 if it is not known.

        Raises:
            UserError: it does not; the message says why.
        """


class EncoderMethod(Method):
    """A way to fine-tune a pretrained encoder under a classification head."""

    library: Library = "torch"
    """Whose format an export uses; a `torch` method exports all weights."""
    takes_steps = True
    merges: ClassVar[bool] = True
    """Whether the encoder's own tensors can express what the method changes."""
    changes_input: ClassVar[bool] = False
    """Whether the embeddings' input is trained, so that no part of the encoder computes the same in every epoch."""

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Those of every head, and the method's own."""
        return {**SHARED, **self.own}

    def passes(self, settings: Settings, epochs: int) -> float:
        """In each epoch one pass forward, and one backward for the gradients of the states.

        The gradients of the encoder's own weights take a third one, and text that virtual tokens make longer about as
        much. On the recorded curves (`benchmarks/curves`) the median of each method's trials, divided by the probe's,
        is 0.75 to 1.9 times this number.
        """
        return (3.0 if self.changes_input else 2.0) * epochs

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        """Why the method cannot work on an encoder with this anatomy, in half a sentence; None if it can."""
        return None

    def check_supported(self, resolved: ResolvedModel, settings: Settings, max_length: int = 0) -> None:
        anatomy = anatomy_of_config(resolved.config())
        reason = self.unsupported(anatomy, settings)
        if reason:
            raise UserError(f"method {self.name} cannot tune {resolved.name!r}: {reason}")
        if HEADS[str(settings["head"])].native and not anatomy.family.native_head:
            raise UserError(
                f"{resolved.name!r} ({anatomy.model_type}) has no head of its own; "
                f"choose head: {heads_for_any_encoder()}"
            )
        taken = self.positions_taken(anatomy, settings)
        if anatomy.positions is not None and max_length > anatomy.positions - taken:
            own = f", of which {self.name} takes {taken}" if taken else ""
            raise UserError(
                f"max_length is {max_length}, but {resolved.name!r} has {anatomy.positions} positions{own}; "
                f"write at most {anatomy.positions - taken}"
            )

    def positions_taken(self, anatomy: Anatomy, settings: Settings) -> int:
        """How many of the backbone's positions the method's virtual tokens occupy."""
        return 0

    def settings_on_meta_device(self, settings: Settings) -> Settings:
        """Settings under which `apply` adds the same parameters as under `settings` without reading pretrained values.

        Torch's meta device has no values: an encoder is built there to count parameters.
        """
        return settings

    @abstractmethod
    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        """Make `encoder` ready to train: add the method's parameters and freeze the rest.

        Args:
            encoder: a pretrained transformers model without a head, every parameter trainable.
            settings: a value for every name in `hyperparameters`.

        Returns:
            The encoder to call from now on, with `requires_grad` as the method wants it. Called with the same
            arguments as before, it returns an output whose `last_hidden_state` has the same shape.
        """

    def learning_rate_multipliers(self, encoder: nn.Module, settings: Settings) -> Mapping[str, float]:
        """Per-parameter learning-rate multipliers of the prepared encoder, by parameter name; 1 where none is given."""
        return {}

    def constants(self, encoder: nn.Module) -> Mapping[str, Tensor]:
        """The prepared encoder's random tensors that stay constant, by name: a checkpoint must hold them too."""
        return {}

    def stages(self, encoder: nn.Module, settings: Settings, epochs: int) -> Sequence[frozenset[str]]:
        """The names of the prepared encoder's parameters that are trained in each epoch; the head always is.

        Returns:
            One set for each of `epochs` epochs, or none if the same parameters are trained in all epochs.
        """
        return ()

    def begin(self, encoder: nn.Module, settings: Settings, steps: int) -> None:
        """Called before the first of `steps` optimizer steps."""

    def before_step(self, encoder: nn.Module, settings: Settings) -> None:
        """Called before each optimizer step, once all gradients of its batch are accumulated."""

    def after_step(self, encoder: nn.Module, settings: Settings, step: int) -> None:
        """Called after optimizer step `step` (the first is 1), before its gradients are cleared."""

    def hook_state(self, encoder: nn.Module) -> Mapping[str, Tensor]:
        """What the three calls above keep from step to step, apart from the encoder's parameters."""
        return {}

    def restore_hook_state(self, encoder: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Take up what `hook_state` returned; called after `begin` where an interrupted training goes on."""

    def adapter(self, anatomy: Anatomy, settings: Settings) -> Mapping[str, Any]:
        """What the method adds, as JSON: its `library`, and what `tuned` in that library's `adding` module reads.

        Only for methods that cannot be merged.
        """
        raise NotImplementedError(f"{self.name} adds nothing to its backbone")

    def merged(self, encoder: nn.Module) -> nn.Module | None:
        """The prepared encoder as its architecture's own class, with the method's change folded into its weights.

        It computes the same, up to rounding, with the tensors that transformers loads and saves. The prepared encoder
        may not be used any more.

        Returns:
            None if not `merges`; the prepared encoder is then as before.
        """
        return encoder if self.merges else None

    def save(self, encoder: nn.Module, folder: Path) -> None:
        """Write the method's own parameters in its library's format (safetensors). Not for `torch` methods."""
        raise NotImplementedError(f"{self.name} has no adapter of its own to save")


class TextModel(Protocol):
    """A model that a `TextMethod` has fitted."""

    @property
    def parameters(self) -> int:
        """How many numbers fitting has chosen."""

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Logits of shape (texts, classes)."""

    def save(self, folder: Path) -> None:
        """Write files without a pickle, `trainable.safetensors` among them."""


class TextMethod(Method):
    """A method that is fitted to the texts themselves: it has no backbone, no head and no epochs."""

    takes_steps = False

    def passes(self, settings: Settings, epochs: int) -> float:
        """None, because there is no encoder."""
        return 0.0

    def check_supported(self, resolved: ResolvedModel, settings: Settings, max_length: int = 0) -> None:
        """Any backbone will do, because none is read."""

    @abstractmethod
    def fit(self, texts: Sequence[str], labels: NDArray[np.integer], classes: int, settings: Settings) -> TextModel:
        """Fit a model to texts whose `labels` are in 0..classes - 1, with one CPU thread.

        Raises:
            UserError: the texts hold nothing to fit to.
        """

    @abstractmethod
    def read(self, folder: Path) -> TextModel:
        """The model that `TextModel.save` wrote to `folder`.

        Raises:
            UserError: its files are missing or damaged.
        """
