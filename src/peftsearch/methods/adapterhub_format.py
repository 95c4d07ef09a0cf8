"""AdapterHub's wrapping and file format, for the methods that use it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError

if TYPE_CHECKING:
    from torch import nn

NAME = "tuned"
WEIGHTS = "adapter.safetensors"


def wrap(encoder: Any, config: Any) -> nn.Module:
    """`encoder` frozen, with the trainable tensors of an AdapterHub `config` added (random: torch's generator)."""
    import adapters

    with _quiet():
        adapters.init(encoder)
        encoder.add_adapter(NAME, config=config)
        encoder.train_adapter(NAME)  # freezes the rest and makes the adapter part of every forward pass
    wrapped: nn.Module = encoder
    return wrapped


def save(encoder: Any, folder: Path) -> None:
    """Write the adapter as AdapterHub does: `adapter.safetensors` and `adapter_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder.save_adapter(str(folder), NAME, use_safetensors=True)


def load(encoder: Any, folder: Path) -> nn.Module:
    """`encoder` with the adapter in `folder`, active, everything frozen.

    Raises:
        UserError: `folder` has no safetensors of an adapter.
    """
    import adapters

    # Without this file adapters 1.3.0 falls back to torch.load.
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} holds no {WEIGHTS}; export the trial again")
    with _quiet():
        adapters.init(encoder)
        encoder.load_adapter(str(folder), load_as=NAME, set_active=True, use_safetensors=True)
    loaded: nn.Module = encoder.requires_grad_(False)
    return loaded


@contextmanager
def _quiet() -> Iterator[None]:
    """While it activates an adapter, adapters 1.3.0 warns that none is active."""
    logger = logging.getLogger("adapters.model_mixin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
