"""The contract of a tuning method.

A method declares itself without heavy imports; torch, peft and adapters load inside `apply`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from peftsearch.methods.hyperparameters import SHARED, Hyperparameter, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from peftsearch.backbones.anatomy import Anatomy

Library = Literal["torch", "peft", "adapters", "text"]


class Method(ABC):
    """A way to fine-tune an encoder. One instance stands in the table; it holds no state of a trial."""

    name: str
    summary: str
    paper: str
    library: Library = "torch"
    """Whose format an export uses; `torch` methods export all weights, `text` ones have no backbone."""
    own: ClassVar[Mapping[str, Hyperparameter]]
    """The method's own hyperparameters, `learning_rate` among them."""
    trains: ClassVar[bool] = True
    """Whether anything is trained; else the classifier is evaluated as it is built."""
    random: ClassVar[bool] = True
    """Whether another seed gives another classifier."""
    changes_input: ClassVar[bool] = False
    """Whether what enters the embeddings is trained, so that nothing of the encoder computes the same every epoch."""

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Every dimension that a study may name under this method, with the method's own defaults."""
        return {**SHARED, **self.own}

    def unsupported(self, anatomy: Anatomy, settings: Settings) -> str | None:
        """Why the method cannot work on this backbone, in half a sentence; None if it can."""
        return None

    def positions_taken(self, anatomy: Anatomy, settings: Settings) -> int:
        """How many of the backbone's positions the method's own tokens take from the text's."""
        return 0

    def settings_on_meta_device(self, settings: Settings) -> Settings:
        """Settings under which `apply` adds the same parameters as under `settings` without reading pretrained values.

        Torch's meta device has none: an encoder is built there to count parameters.
        """
        return settings

    @abstractmethod
    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        """Make `encoder` ready to train: add the method's tensors, freeze the rest.

        Args:
            encoder: a pretrained transformers model without a head, every tensor trainable.
            settings: a value for every name in `hyperparameters`.

        Returns:
            The encoder to call from now on, with `requires_grad` as the method wants it. Called with the same
            arguments as before, it returns an output whose `last_hidden_state` has the same shape.
        """

    def rates(self, encoder: nn.Module, settings: Settings) -> Mapping[str, float]:
        """The learning rate of some of the prepared encoder's parameters over `learning_rate`; 1 of the others."""
        return {}

    def constants(self, encoder: nn.Module) -> Mapping[str, Tensor]:
        """Random tensors of the prepared encoder that no step moves, by name: a trial's weights need them too."""
        return {}

    def stages(self, encoder: nn.Module, settings: Settings, epochs: int) -> Sequence[frozenset[str]]:
        """The prepared encoder's parameters that each of `epochs` epochs trains, by name; the head is always trained.

        Empty if what `apply` has made trainable is so from the first epoch to the last.
        """
        return ()

    def begin(self, encoder: nn.Module, settings: Settings, steps: int) -> None:  # noqa: B027
        """Called before the first of `steps` optimizer steps."""

    def before_step(self, encoder: nn.Module, settings: Settings) -> None:  # noqa: B027
        """Called before each optimizer step, when all gradients of its batch are there."""

    def after_step(self, encoder: nn.Module, settings: Settings, step: int) -> None:  # noqa: B027
        """Called after optimizer step `step` (the first is 1), while its gradients are still there."""

    def plain(self, encoder: nn.Module) -> nn.Module:
        """The prepared encoder as transformers saves and loads it. Only if `library` is torch; changes `encoder`."""
        return encoder

    def save(self, encoder: nn.Module, folder: Path) -> None:
        """Write what the method added, in its library's format (safetensors). Only if `library` is not torch."""
        raise NotImplementedError(f"{self.name} has no adapter of its own to save")

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        """The inverse of `save`: the pretrained `encoder` with what `folder` holds added, ready for inference."""
        raise NotImplementedError(f"{self.name} has no adapter of its own to load")


class TextModel(Protocol):
    """What a `TextMethod` has fitted."""

    @property
    def parameters(self) -> int: ...
    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Logits of shape (texts, classes)."""

    def save(self, folder: Path) -> None:
        """Write files without a pickle, `trainable.safetensors` among them."""


class TextMethod(Method):
    """A method that reads texts and needs no backbone."""

    library = "text"

    @property
    def hyperparameters(self) -> dict[str, Hyperparameter]:
        """Only its own: there is no head."""
        return dict(self.own)

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        raise NotImplementedError(f"{self.name} has no encoder")

    @abstractmethod
    def fit(self, texts: Sequence[str], labels: NDArray[np.integer], classes: int, settings: Settings) -> TextModel:
        """Fit a model to texts whose `labels` are in 0..classes - 1.

        Raises:
            UserError: the texts hold nothing to fit to.
        """

    @abstractmethod
    def read(self, folder: Path) -> TextModel:
        """The model that `TextModel.save` wrote to `folder`.

        Raises:
            UserError: its files are missing or damaged.
        """
