"""The base of the methods that PEFT implements: adding, describing, merging and writing an adapter."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.errors import UserError, one_line
from peftsearch.methods.base import EncoderMethod, Library
from peftsearch.methods.hyperparameters import Settings
from peftsearch.methods.peft_library.adding import add

if TYPE_CHECKING:
    from torch import nn


class PeftMethod(EncoderMethod):
    """A method that PEFT implements, given by a `PeftConfig`."""

    library: Library = "peft"

    @abstractmethod
    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        """PEFT's configuration for an encoder with this anatomy."""

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return add(encoder, self.config(anatomy_of(encoder), settings))

    def adapter(self, anatomy: Anatomy, settings: Settings) -> Mapping[str, Any]:
        return described(self.config(anatomy, settings))

    def merged(self, encoder: nn.Module) -> nn.Module | None:
        return merge(encoder) if self.merges else None

    def save(self, encoder: nn.Module, folder: Path) -> None:
        save(encoder, folder)


def described(config: Any) -> Mapping[str, Any]:
    """A PEFT configuration as JSON, as `adding.tuned` reads it."""
    return {"library": "peft", "config": {name: value for name, value in config.to_dict().items() if value is not None}}


def merge(encoder: Any) -> nn.Module:
    """The encoder inside a PEFT model, with the adapter added to its weights.

    Raises:
        UserError: the adapter holds numbers that are not finite.
    """
    try:
        plain: nn.Module = encoder.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise UserError(f"the adapter cannot be merged into its backbone: {one_line(error)}") from error
    vars(plain).pop("forward", None)  # of `adding.ignore_output_attentions`
    return plain


def save(encoder: Any, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, as PEFT does."""
    # Without this argument PEFT 0.21.2 asks the hub whether the base model's vocabulary has changed.
    encoder.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)
