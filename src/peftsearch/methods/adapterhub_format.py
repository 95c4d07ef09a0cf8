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
    with _quiet():
        _init(encoder)
        encoder.add_adapter(NAME, config=config)
        encoder.train_adapter(NAME)  # freezes the rest and makes the adapter part of every forward pass
    wrapped: nn.Module = encoder
    return wrapped


def save(encoder: Any, folder: Path) -> None:
    """Write the adapter as AdapterHub does: `adapter.safetensors` and `adapter_config.json`."""
    from adapters.loading import AdapterLoader

    folder.mkdir(parents=True, exist_ok=True)
    loader = AdapterLoader(encoder, use_safetensors=True)
    states = loader.weights_helper.state_dict
    # adapters 1.3.0 registers a prefix once in the model and once more in each layer (`….pool.…`); safetensors refuses
    # to write the same memory twice.
    loader.weights_helper.state_dict = lambda keep: {k: v for k, v in states(keep).items() if ".pool." not in k}
    loader.save(str(folder), NAME)


def load(encoder: Any, folder: Path) -> nn.Module:
    """`encoder` with the adapter in `folder`, active, everything frozen.

    Raises:
        UserError: `folder` has no safetensors of an adapter.
    """
    # Without this file adapters 1.3.0 falls back to torch.load.
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder} holds no {WEIGHTS}; export the trial again")
    with _quiet():
        _init(encoder)
        encoder.load_adapter(str(folder), load_as=NAME, set_active=True, use_safetensors=True)
    loaded: nn.Module = encoder.requires_grad_(False)
    return loaded


def _init(encoder: Any) -> None:
    """Prepare `encoder` for adapters, computing what it computed before."""
    import adapters

    before = {name for name, _ in encoder.named_parameters()}
    adapters.init(encoder)
    # adapters 1.3.0 gives a fused projection without a bias (ModernBERT's Wqkv) a random one: LoRAMergedLinear.wrap.
    for name in {name for name, _ in encoder.named_parameters()} - before:
        module, _, parameter = name.rpartition(".")
        setattr(encoder.get_submodule(module), parameter, None)


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
