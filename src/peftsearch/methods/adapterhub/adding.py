"""Adds a method of AdapterHub to an encoder. An exported folder brings this code, so it imports nothing of ours."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

NAME = "tuned"
"""What the adapter is called inside the encoder."""


def tuned(encoder: nn.Module, adapter: Mapping[str, Any]) -> nn.Module:
    """The encoder with the parameters of the method that `adapter` describes.

    Args:
        adapter: `config` is AdapterHub's configuration, and `interface` what tells it where an architecture that it
            does not know has its modules, or None.
    """
    from adapters import AdapterConfig

    with torchs_initialization():
        return add(encoder, AdapterConfig.load(dict(adapter["config"])), adapter["interface"])


def add(encoder: Any, config: Any, interface: Mapping[str, Any] | None) -> nn.Module:
    """Freeze `encoder` and add the trainable parameters of an AdapterHub `config`, drawn by torch's generator."""
    with quiet_adapters():
        init_adapters(encoder, interface)
        encoder.add_adapter(NAME, config=config)
        encoder.train_adapter(NAME)  # freezes the rest and makes the adapter part of every forward pass
    gate_by_text(encoder)
    wrapped: nn.Module = encoder
    return wrapped


def init_adapters(encoder: Any, interface: Mapping[str, Any] | None) -> None:
    """Prepare `encoder` for adapters without changing its outputs."""
    import adapters

    before = {name for name, _ in encoder.named_parameters()}
    adapters.init(encoder, interface=adapters.AdapterModelInterface(**interface) if interface else None)
    if interface:
        for layer in encoder.get_submodule(interface["model_layers"]).children():
            use_own_norms(layer, interface)
    # adapters 1.3.0 gives a fused projection without a bias (ModernBERT's Wqkv) a random one: LoRAMergedLinear.wrap.
    for name in {name for name, _ in encoder.named_parameters()} - before:
        module, _, parameter = name.rpartition(".")
        setattr(encoder.get_submodule(module), parameter, None)


def use_own_norms(layer: nn.Module, interface: Mapping[str, Any]) -> None:
    """Let the adapters of `layer` read its own norms: adapters 1.3.0 hands those of the last layer to all layers.

    The functions that return the norms in its `init_bottleneck` share one loop variable.
    """
    for adapters, norm in (("attention_adapters", "layer_ln_1"), ("output_adapters", "layer_ln_2")):
        own = layer.get_submodule(interface[norm])
        layer.get_submodule(adapters).register_forward_pre_hook(lambda _, states, own=own: (*states[:2], own))


def gate_by_text(encoder: nn.Module) -> None:
    """Let gates average over a text's tokens alone; those of adapters 1.3.0 average over its padding too.

    The library takes the sigmoid of a gate's scores and then their mean over all positions. It is given, at every
    position, the score whose sigmoid is the mean over the text.
    """
    import torch

    masks: list[Any] = []

    def remember(module: nn.Module, args: Any, kwargs: dict[str, Any]) -> None:
        masks[:] = [kwargs.get("attention_mask")]

    def average(module: nn.Module, args: Any, scores: Tensor) -> Tensor:
        # DeBERTa's projections read relative position embeddings too, which are of no text and have no mask.
        if masks[0] is None or scores.shape[:2] != masks[0].shape:
            return scores
        weights = masks[0].unsqueeze(-1).float()
        gates = (torch.sigmoid(scores.float()) * weights).sum(dim=1, keepdim=True) / weights.sum(dim=1, keepdim=True)
        return torch.logit(gates, eps=1e-6).to(scores.dtype).expand_as(scores)

    gates = [module for name, module in encoder.named_modules() if name.endswith((".gate", f".prefix_gates.{NAME}"))]
    if gates:
        encoder.register_forward_pre_hook(remember, with_kwargs=True)
    for gate in gates:
        gate.register_forward_hook(average)


@contextmanager
def torchs_initialization() -> Iterator[None]:
    """Let torch's functions that draw weights return these, while transformers loads a model.

    transformers 4.57.6 replaces them by functions that return nothing, and Compacter of adapters 1.3.0 keeps what they
    return.
    """
    from torch.nn import init
    from transformers.modeling_utils import TORCH_INIT_FUNCTIONS

    replaced = {name: getattr(init, name) for name in TORCH_INIT_FUNCTIONS}
    vars(init).update(TORCH_INIT_FUNCTIONS)
    try:
        yield
    finally:
        vars(init).update(replaced)


@contextmanager
def quiet_adapters() -> Iterator[None]:
    """Silence adapters 1.3.0, which warns that no adapter is active while it activates one."""
    logger = logging.getLogger("adapters.model_mixin")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
