"""The base of the methods that PEFT implements: adding an adapter, writing it, loading it."""

from __future__ import annotations

import json
import warnings
from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import Anatomy, anatomy_of
from peftsearch.core.errors import UserError, one_line
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

    def merged(self, encoder: nn.Module) -> nn.Module | None:
        return merge(encoder)

    def save(self, encoder: nn.Module, folder: Path) -> None:
        save(encoder, folder)

    def load(self, encoder: nn.Module, folder: Path, settings: Settings) -> nn.Module:
        return load(encoder, folder, self.config(anatomy_of(encoder), settings))


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


def merge(encoder: Any) -> nn.Module:
    """The encoder inside a PEFT model, with the adapter added to its weights.

    Raises:
        UserError: the adapter holds numbers that are not finite.
    """
    try:
        plain: nn.Module = encoder.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise UserError(f"the adapter cannot be merged into its backbone: {one_line(error)}") from error
    vars(plain).pop("forward", None)  # of `_ignore_output_attentions`
    return plain


def load(encoder: Any, folder: Path, config: Any) -> nn.Module:
    """Add the adapter in `folder` to `encoder`, with every parameter frozen.

    Args:
        config: PEFT's configuration, as for `wrap`. `adapter_config.json` may come from anyone, and it can name modules
            to import and other models to load, so nothing but the ranks that AdaLoRA has chosen is taken from it.

    Raises:
        UserError: `folder` has no adapter in safetensors, or another one than `config` describes.
    """
    from peft import PeftModel

    # Without this file PEFT would look for a pickle, and then on the hub.
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} holds no {WEIGHTS}; export the trial again")
    _ignore_output_attentions(encoder)
    if hasattr(config, "rank_pattern"):
        config.rank_pattern = _rank_pattern(folder) or config.rank_pattern
    try:
        loaded: nn.Module = PeftModel.from_pretrained(encoder, str(folder), config=config, is_trainable=False)
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"{folder} does not hold the adapter of its trial: {one_line(error)}") from error
    # PEFT 0.21.2 leaves a loaded prefix trainable in spite of `is_trainable=False`.
    return loaded.requires_grad_(False)


def _rank_pattern(folder: Path) -> Any:
    """Return the rank of each module, or which of its ranks are left, where it is not the same for all modules."""
    try:
        described = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
        return described.get("rank_pattern")
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"cannot read {folder / 'adapter_config.json'}: {one_line(error)}; export again") from error


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
