"""From an encoder's hidden states to logits: poolings, heads, and the classifier that any method tunes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from peftsearch.backbones.frozen_prefix import Prefix

Pooling = Callable[[Tensor, Tensor], Tensor]
"""Hidden states (rows, tokens, width) and their mask (rows, tokens) → one state a row (rows, width)."""


def first_token(states: Tensor, mask: Tensor) -> Tensor:
    """The first real token's state, which is the tokenizer's `[CLS]`."""
    return states[torch.arange(len(states), device=states.device), mask.int().argmax(dim=1)]


def last_token(states: Tensor, mask: Tensor) -> Tensor:
    """The last real token's state, whichever side is padded."""
    positions = torch.arange(mask.shape[1], device=mask.device)
    return states[torch.arange(len(states), device=states.device), (mask.int() * positions).argmax(dim=1)]


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """The mean over the real tokens."""
    weights = mask.unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)


def masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Each dimension's maximum over the real tokens."""
    return states.masked_fill(~mask.bool().unsqueeze(-1), torch.finfo(states.dtype).min).amax(dim=1)


POOLINGS: dict[str, Pooling] = {"cls": first_token, "mean": masked_mean, "max": masked_max, "last": last_token}


def linear(width: int, num_labels: int, dropout: float) -> nn.Module:
    """Dropout and one linear layer."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_labels))


def mlp(width: int, num_labels: int, dropout: float) -> nn.Module:
    """One hidden layer of half the width, with a norm before each linear layer."""
    half = width // 2
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, half),
        nn.ReLU(),
        nn.Dropout(dropout),
        nn.LayerNorm(half),
        nn.Linear(half, num_labels),
    )


HEADS: dict[str, Callable[[int, int, float], nn.Module]] = {"linear": linear, "mlp": mlp}
"""Heads over a pooled state; `native` is the architecture's own (`NativeHead`)."""


class PooledHead(nn.Module):
    """Pools the last hidden states and classifies the result.

    Args:
        head: a key of `HEADS`.
        pooling: a key of `POOLINGS`.
    """

    def __init__(self, head: str, pooling: str, width: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.pool = POOLINGS[pooling]
        self.classify = HEADS[head](width, num_labels, dropout)

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.pool(outputs.last_hidden_state, mask))
        return logits


class LstmHead(nn.Module):
    """One LSTM layer over the last hidden states; its state at the last real token is classified."""

    def __init__(self, width: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.classify = linear(width, num_labels, dropout)

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        states = outputs.last_hidden_state
        # Real tokens first, in their order: with padding on the left the LSTM would read that before the text.
        order = (mask == 0).int().argsort(dim=1, stable=True)
        read, _ = self.lstm(states.gather(1, order.unsqueeze(-1).expand_as(states)))
        last = (mask.long().sum(dim=1) - 1).clamp(min=0)
        logits: Tensor = self.classify(read[torch.arange(len(read), device=read.device), last])
        return logits


class NativeHead(nn.Module):
    """All of a transformers sequence classifier but its encoder, which it pools as its architecture does.

    Args:
        model: the sequence classifier; its encoder is taken out of it.
        dropout: of every dropout in the head.
    """

    def __init__(self, model: Any, dropout: float) -> None:
        super().__init__()
        setattr(model, model.base_model_prefix, _Given())
        self.model = model
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        given = getattr(self.model, self.model.base_model_prefix)
        given.outputs = outputs
        try:
            logits: Tensor = self.model(inputs_embeds=outputs.last_hidden_state, attention_mask=mask).logits
        finally:
            given.outputs = None
        return logits


class _Given(nn.Module):
    """Stands where the encoder was and returns what the encoder has already computed."""

    outputs: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.outputs


class Classifier(nn.Module):
    """An encoder as some method has prepared it, with a head.

    Parameters are named `encoder.…` and `head.…`; those with `requires_grad` are the ones to train.

    Args:
        embeddings, layers, tail: the encoder's modules in the order in which they compute.
        takes_token_types: whether the encoder tells segments apart; otherwise `token_type_ids` are ignored.

    Attributes:
        prefix: where `states` that are given to `forward` come from.
        tensors: every parameter; walking all modules for them takes a millisecond.
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
        self.prefix: Prefix | None = None
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
            states: what `prefix_states` of these rows returned before; other arguments are (rows, tokens).
        """
        from transformers.modeling_outputs import SequenceClassifierOutput

        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        encode = self._encoding(input_ids, mask, token_type_ids)
        outputs = encode() if states is None else self._known_prefix().resume(encode, states)
        return SequenceClassifierOutput(logits=self.head(outputs, mask))

    def prefix_states(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> Tensor:
        """The states where `prefix` ends, which must be set; see `Prefix.states`."""
        encode = self._encoding(input_ids, attention_mask, token_type_ids)
        return self._known_prefix().states(encode, attention_mask)

    def _known_prefix(self) -> Prefix:
        assert self.prefix is not None, "states come from a prefix: set `prefix` first"
        return self.prefix

    def _encoding(self, input_ids: Tensor, mask: Tensor, token_type_ids: Tensor | None) -> Callable[[], Any]:
        segments = {}
        if self.takes_token_types and token_type_ids is not None:
            segments["token_type_ids"] = token_type_ids
        return partial(self.encoder, input_ids=input_ids, attention_mask=mask, **segments)

    def train(self, mode: bool = True) -> Classifier:
        """As in torch, but what lies below the first trainable parameter stays in eval mode.

        Noise there could train nothing, and without it those modules compute the same thing in every epoch.
        """
        now = (mode, *(parameter.requires_grad for parameter in self.tensors))
        if now != self._mode:  # the Trainer calls this before every step, and walking all modules takes a while
            super().train(mode)
            for module in self.frozen_prefix():
                module.eval()
            self._mode = now
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """As in torch; the Trainer calls this after every step."""
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
        # Tensors outside all blocks are a method's own (a prefix), which the first layer already reads.
        candidates = self.embeddings if added else blocks
        prefix: list[nn.Module] = []
        for block in candidates:
            if _trainable(block):
                break
            prefix.append(block)
        return prefix


def _trainable(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
