"""The classifier that any method tunes: an encoder, its frozen prefix, and a head."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn

Encode = Callable[[], Any]
"""Runs the encoder on a batch."""


class FrozenPrefix(Protocol):
    """The part of an encoder that computes the same states in every epoch, because nothing in it is trained.

    Attributes:
        name: of the place where it ends; differs for prefixes of one encoder that end elsewhere.
        per_token: whether it yields one state for each token, or one for each row.
        modules: every module whose tensors determine the states.
    """

    name: str
    per_token: bool
    modules: tuple[nn.Module, ...]

    def states(self, encode: Encode, mask: Tensor) -> Tensor:
        """The states of a batch: (rows, tokens, width), or (rows, 1, width) if there is one for each row."""

    def resume(self, encode: Encode, states: Tensor) -> Any:
        """The encoder's output, computed from stored `states` instead of its own."""


class Classifier(nn.Module):
    """An encoder that a method has prepared, with a head.

    Its parameters are named `encoder.…` and `head.…`; those with `requires_grad` are trained.

    Args:
        encoder: the prepared encoder.
        head: maps the encoder's outputs and the attention mask to logits.
        embeddings: the encoder's modules before the layers.
        layers: the encoder's layers, the first one first.
        tail: the encoder's modules after the layers.
        takes_token_types: whether the encoder tells segments apart; otherwise `token_type_ids` are ignored.

    Attributes:
        prefix: the frozen prefix that has computed the `states` given to `forward`.
        tensors: every parameter, kept because walking all modules for them takes a millisecond.
    """

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        *,
        embeddings: list[nn.Module],
        layers: list[nn.Module],
        tail: list[nn.Module],
        takes_token_types: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.takes_token_types = takes_token_types
        # Tuples, so that torch does not register the modules a second time.
        self.embeddings, self.layers, self.tail = tuple(embeddings), tuple(layers), tuple(tail)
        self.prefix: FrozenPrefix | None = None
        self.tensors = list(self.parameters())
        self._mode: tuple[bool, ...] = ()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        states: Tensor | None = None,
    ) -> Any:
        """A `SequenceClassifierOutput` with `logits` of shape (rows, labels).

        Args:
            input_ids: token ids of shape (rows, tokens), as the mask and the token types are.
            attention_mask: 1 for real tokens, 0 for padding; by default every token is real.
            token_type_ids: the segment of each token.
            states: the result of `prefix_states` for these rows; the prefix is then not computed.
        """
        from transformers.modeling_outputs import SequenceClassifierOutput

        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        encode = self._encoding(input_ids, mask, token_type_ids)
        outputs = encode() if states is None else self._known_prefix().resume(encode, states)
        return SequenceClassifierOutput(logits=self.head(outputs, mask))

    def prefix_states(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The states at the end of `prefix`, which must be set; see `FrozenPrefix.states`."""
        encode = self._encoding(input_ids, attention_mask, token_type_ids)
        return self._known_prefix().states(encode, attention_mask)

    def _known_prefix(self) -> FrozenPrefix:
        assert self.prefix is not None, "states come from a prefix: set `prefix` first"
        return self.prefix

    def _encoding(self, input_ids: Tensor, mask: Tensor, token_type_ids: Tensor | None) -> Callable[[], Any]:
        segments = {}
        if self.takes_token_types and token_type_ids is not None:
            segments["token_type_ids"] = token_type_ids
        return partial(self.encoder, input_ids=input_ids, attention_mask=mask, **segments)

    def train(self, mode: bool = True) -> Classifier:
        """Set the mode as in torch, but keep the modules below the first trainable parameter in eval mode.

        Dropout there could train nothing, and without it those modules compute the same in every epoch.
        """
        now = (mode, *(parameter.requires_grad for parameter in self.tensors))
        if now != self._mode:  # the Trainer calls this before every step, and walking all modules takes a while
            super().train(mode)
            for module in self.frozen_prefix():
                module.eval()
            self._mode = now
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients as in torch, without walking all modules; the Trainer calls this after every step."""
        if not set_to_none:
            super().zero_grad(set_to_none=False)
            return
        for tensor in self.tensors:
            tensor.grad = None

    def frozen_prefix(self) -> list[nn.Module]:
        """The encoder's modules below the first trainable parameter, in order; the encoder itself if all is frozen."""
        if not _trainable(self.encoder):
            return [self.encoder]
        blocks = (*self.embeddings, *self.layers, *self.tail)
        inside = {id(parameter) for block in blocks for parameter in block.parameters()}
        added = any(p.requires_grad and id(p) not in inside for p in self.encoder.parameters())
        # Parameters outside all blocks belong to the method (a prefix of keys and values); the first layer reads them.
        candidates = self.embeddings if added else blocks
        prefix: list[nn.Module] = []
        for block in candidates:
            if _trainable(block):
                break
            prefix.append(block)
        return prefix


def _trainable(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
