"""Adds a method of PEFT to an encoder. It imports PEFT alone, because an exported folder brings this code."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


def tuned(encoder: nn.Module, adapter: Mapping[str, Any]) -> nn.Module:
    """The encoder with the parameters of the method that `adapter` describes: `config` is PEFT's, as JSON."""
    from peft import get_peft_config

    return add(encoder, get_peft_config(dict(adapter["config"])))


def add(encoder: Any, config: Any) -> nn.Module:
    """Freeze `encoder` and add the trainable parameters of a PEFT `config`, drawn by torch's generator."""
    from peft import get_peft_model

    ignore_output_attentions(encoder)
    prompt = config.is_prompt_learning
    if prompt:
        # PEFT 0.21.2 drops `token_type_ids` with virtual tokens and warns at every call site.
        warnings.filterwarnings("ignore", message="Token type ids are not supported")
    wrapped: nn.Module = get_peft_model(encoder, config)
    # A prefix stands in the attention's keys and values alone; other virtual tokens have states of their own.
    if prompt and config.peft_type != "PREFIX_TUNING":
        without_virtual_tokens(wrapped, config.num_virtual_tokens)
    return wrapped


def ignore_output_attentions(encoder: Any) -> None:
    """PEFT 0.21.2 passes `output_attentions` to every encoder; one without attention does not take it."""
    if "output_attentions" in inspect.signature(encoder.forward).parameters:
        return
    own = encoder.forward

    def forward(*args: Any, output_attentions: None = None, **kwargs: Any) -> Any:
        return own(*args, **kwargs)

    encoder.forward = forward


def without_virtual_tokens(encoder: nn.Module, tokens: int) -> None:
    """Cut the virtual tokens' states out of the encoder's output, and out of its pooler's input."""

    def of_text(states: Tensor) -> Tensor:
        return states[:, tokens:]

    def in_outputs(module: nn.Module, inputs: Any, outputs: Any) -> Any:
        outputs.last_hidden_state = of_text(outputs.last_hidden_state)
        return outputs

    def in_pooler(module: nn.Module, inputs: Any) -> Any:
        return (of_text(inputs[0]), *inputs[1:])

    encoder.register_forward_hook(in_outputs)
    base: Any = encoder.get_base_model()  # type: ignore[operator]
    if getattr(base, "pooler", None) is not None:
        base.pooler.register_forward_pre_hook(in_pooler)
