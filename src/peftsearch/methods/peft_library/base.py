"""The base of the methods that PEFT implements: adding an adapter, writing it, loading it."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.errors import UserError
from peftsearch.methods.base import EncoderMethod, Library
from peftsearch.methods.hyperparameters import Settings

if TYPE_CHECKING:
    from torch import nn

WEIGHTS = "adapter_model.safetensors"


class PeftMethod(EncoderMethod):
    """A method that PEFT implements, given by a `PeftConfig`."""

    library: Library = "peft"

    @abstractmethod
    def config(self, anatomy: Anatomy, settings: Settings) -> Any:
        """PEFT's configuration for an encoder with this anatomy."""

    def apply(self, encoder: nn.Module, settings: Settings) -> nn.Module:
        return wrap(encoder, self.config(anatomy_of(encoder), settings))

    def save(self, encoder: nn.Module, folder: Path) -> None:
        save(encoder, folder)

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        return load(encoder, folder)


def wrap(encoder: Any, config: Any) -> nn.Module:
    """Freeze `encoder` and add the trainable parameters of a PEFT `config`, drawn by torch's generator."""
    from peft import get_peft_model

    _ignore_output_attentions(encoder)
    wrapped: nn.Module = get_peft_model(encoder, config)
    return wrapped


def save(encoder: Any, folder: Path) -> None:
    """Write `adapter_model.safetensors` and `adapter_config.json`, as PEFT does."""
    # Without this argument PEFT 0.21.2 asks the hub whether the base model's vocabulary has changed.
    encoder.save_pretrained(folder, safe_serialization=True, save_embedding_layers=False)


def load(encoder: Any, folder: Path) -> nn.Module:
    """Add the adapter in `folder` to `encoder`, with every parameter frozen.

    Raises:
        UserError: `folder` has no adapter in safetensors.
    """
    from peft import PeftModel

    # Without this file PEFT would look for a pickle, and then on the hub.
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} holds no {WEIGHTS}; export the trial again")
    _ignore_output_attentions(encoder)
    # PEFT 0.21.2 leaves a loaded prefix trainable in spite of `is_trainable=False`.
    loaded: nn.Module = PeftModel.from_pretrained(encoder, str(folder), is_trainable=False).requires_grad_(False)
    return loaded


def _ignore_output_attentions(encoder: Any) -> None:
    """PEFT 0.21.2 passes `output_attentions` to every encoder; one without attention does not take it."""
    if anatomy_of(encoder).attention:
        return
    own = encoder.forward

    def forward(*args: Any, output_attentions: None = None, **kwargs: Any) -> Any:
        return own(*args, **kwargs)

    encoder.forward = forward


def ignore_token_type_warning() -> None:
    """Silence PEFT 0.21.2, which drops `token_type_ids` with virtual tokens and warns at every call site."""
    warnings.filterwarnings("ignore", message="Token type ids are not supported")
