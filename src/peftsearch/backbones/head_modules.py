"""The heads' torch modules: from an encoder's outputs to logits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from peftsearch.backbones.poolings import Pooling


def linear_layers(width: int, num_labels: int, dropout: float) -> nn.Module:
    """Dropout, then one linear layer."""
    return nn.Sequential(nn.Dropout(dropout), nn.Linear(width, num_labels))


def mlp_layers(width: int, num_labels: int, dropout: float) -> nn.Module:
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


class PooledHead(nn.Module):
    """Pools the last hidden states and classifies the result.

    Args:
        pool: from hidden states to one state a row.
        classify: from that state to logits.
    """

    def __init__(self, pool: Pooling, classify: nn.Module) -> None:
        super().__init__()
        self.pool = pool
        self.classify = classify

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.pool(outputs.last_hidden_state, mask))
        return logits


class LstmHead(nn.Module):
    """One LSTM layer over the last hidden states; its state at the last real token is classified."""

    def __init__(self, width: int, num_labels: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.classify = linear_layers(width, num_labels, dropout)

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        states = outputs.last_hidden_state
        # Real tokens first, in their order: with padding on the left the LSTM would read that before the text.
        order = (mask == 0).int().argsort(dim=1, stable=True)
        read, _ = self.lstm(states.gather(1, order.unsqueeze(-1).expand_as(states)))
        last = (mask.long().sum(dim=1) - 1).clamp(min=0)
        logits: Tensor = self.classify(read[torch.arange(len(read), device=read.device), last])
        return logits


class NativeHead(nn.Module):
    """A transformers sequence classifier without its encoder: it pools the encoder's outputs as its architecture does.

    Args:
        model: the sequence classifier; a stand-in takes the place of its encoder.
        dropout: the probability that every dropout module of the head gets.
    """

    def __init__(self, model: Any, dropout: float) -> None:
        super().__init__()
        setattr(model, model.base_model_prefix, _EncoderStandIn())
        self.model = model
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.p = dropout

    def forward(self, outputs: Any, mask: Tensor) -> Tensor:
        stand_in = getattr(self.model, self.model.base_model_prefix)
        stand_in.outputs = outputs
        try:
            logits: Tensor = self.model(inputs_embeds=outputs.last_hidden_state, attention_mask=mask).logits
        finally:
            stand_in.outputs = None
        return logits


class _EncoderStandIn(nn.Module):
    """Returns what the encoder, whose place it has taken, has already computed."""

    outputs: Any = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.outputs
