"""Frozen prefixes: the part of an encoder whose states are computed once, and the encoder resumed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from peftsearch.backbones.anatomy import anatomy_of
from peftsearch.backbones.classifier import Classifier, Encode, FrozenPrefix
from peftsearch.backbones.head_modules import PooledHead

if TYPE_CHECKING:
    from peftsearch.backbones.poolings import Pooling


class Pooled:
    """A prefix of the whole encoder and its pooling, with one state a row.

    Pooling again, over that single state, leaves it as it is.
    """

    per_token = False

    def __init__(self, encoder: nn.Module, pool: Pooling) -> None:
        self.name = f"pooled by {pool.__name__}"
        self.modules: tuple[nn.Module, ...] = (encoder,)
        self._pool = pool
        self._parameters = list(encoder.parameters())

    def states(self, encode: Encode, mask: Tensor) -> Tensor:
        return self._pool(encode().last_hidden_state, mask).unsqueeze(1)

    def resume(self, encode: Encode, states: Tensor) -> Any:
        from transformers.modeling_outputs import BaseModelOutput

        assert not any(p.requires_grad for p in self._parameters), "the states are from before the encoder was thawed"
        return BaseModelOutput(last_hidden_state=states)


class Layers:
    """A prefix of the embeddings and the first layers, with one state a token.

    The encoder's own forward pass runs in both directions, while the layers that are left out return their input. So
    the encoder computes its masks, positions and norms itself, no module moves, and no parameter changes its name.

    Args:
        below: the layers of the prefix, at least one.
        above: all other layers.
        shared: the other modules that determine the states, such as the embeddings.
    """

    per_token = True

    def __init__(self, below: Sequence[nn.Module], above: Sequence[nn.Module], shared: Sequence[nn.Module]) -> None:
        self.name = f"layer {len(below)}"
        self.modules: tuple[nn.Module, ...] = (*shared, *below)
        self._below, self._above = tuple(below), tuple(above)
        self._parameters = [parameter for module in self.modules for parameter in module.parameters()]

    def states(self, encode: Encode, mask: Tensor) -> Tensor:
        found: list[Tensor] = []
        last = self._below[-1].register_forward_hook(lambda module, inputs, outputs: found.append(outputs[0]))
        try:
            with _replaced(self._above, _hand_on):
                encode()
        finally:
            last.remove()
        return found[0]

    def resume(self, encode: Encode, states: Tensor) -> Any:
        assert not any(p.requires_grad for p in self._parameters), "the states are from before the prefix was thawed"
        with _replaced(self._below[:-1], _hand_on), _replaced(self._below[-1:], lambda *_, **__: (states,)):
            return encode()


def reusable_prefix(classifier: Classifier) -> FrozenPrefix | None:
    """Return the prefix that `classifier` need not compute again in every epoch.

    Returns:
        None if no layer is frozen, or if the encoder cannot resume from stored states.
    """
    frozen = classifier.frozen_prefix()
    whole = classifier.encoder in frozen
    if whole and isinstance(classifier.head, PooledHead):
        return Pooled(classifier.encoder, classifier.head.pool)
    encoder: Any = classifier.encoder
    # Flash attention lets ModernBERT drop the padding before its layers: their states have no rows.
    without_rows = encoder.config._attn_implementation == "flash_attention_2"
    if without_rows or not anatomy_of(encoder).family.layers_take_states_alone:
        return None
    below = [layer for layer in classifier.layers if whole or layer in frozen]
    above = [layer for layer in classifier.layers if layer not in below]
    return Layers(below, above, classifier.embeddings) if below else None


def _hand_on(states: Tensor, *_: Any, **__: Any) -> tuple[Tensor]:
    return (states,)


@contextmanager
def _replaced(modules: Sequence[nn.Module], forward: Callable[..., Any]) -> Iterator[None]:
    """Let `modules` compute `forward` inside the context. It is not safe for several threads."""
    before = [module.__dict__.get("forward") for module in modules]
    for module in modules:
        module.__dict__["forward"] = forward
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own
