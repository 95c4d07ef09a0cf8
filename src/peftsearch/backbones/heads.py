"""The heads that a study can name. A new one is a function here, its module in `head_modules`, and a line in `HEADS`.

This module loads no torch, so that the names in the table are known before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.poolings import POOLINGS

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class HeadInputs:
    """What a head is built from.

    Attributes:
        width: of the encoder's hidden states.
        num_labels: the number of classes.
        dropout: the probability, in 0..1.
        pooling: a key of `POOLINGS`; only heads with `Head.pools` read it.
        sequence_classifier: transformers' whole classifier, encoder included, for a native head; else None.
    """

    width: int
    num_labels: int
    dropout: float
    pooling: str
    sequence_classifier: Any = None


@dataclass(frozen=True)
class Head:
    """How a head is built, and what it needs.

    Attributes:
        build: makes the module, which maps the encoder's outputs and the attention mask to logits (rows, labels).
        pools: whether the `pooling` hyperparameter has an effect.
        native: whether the head is taken from the architecture's own sequence classifier.
    """

    build: Callable[[HeadInputs], nn.Module]
    pools: bool = False
    native: bool = False


def native(inputs: HeadInputs) -> nn.Module:
    """The architecture's own head, with its own pooling."""
    from peftsearch.backbones.head_modules import NativeHead

    return NativeHead(inputs.sequence_classifier, inputs.dropout)


def linear(inputs: HeadInputs) -> nn.Module:
    """One linear layer over the pooled state."""
    from peftsearch.backbones.head_modules import PooledHead, linear_layers

    return PooledHead(POOLINGS[inputs.pooling], linear_layers(inputs.width, inputs.num_labels, inputs.dropout))


def mlp(inputs: HeadInputs) -> nn.Module:
    """One hidden layer over the pooled state."""
    from peftsearch.backbones.head_modules import PooledHead, mlp_layers

    return PooledHead(POOLINGS[inputs.pooling], mlp_layers(inputs.width, inputs.num_labels, inputs.dropout))


def lstm(inputs: HeadInputs) -> nn.Module:
    """An LSTM over the states of all tokens."""
    from peftsearch.backbones.head_modules import LstmHead

    return LstmHead(inputs.width, inputs.num_labels, inputs.dropout)


HEADS: dict[str, Head] = {
    "native": Head(native, native=True),
    "linear": Head(linear, pools=True),
    "mlp": Head(mlp, pools=True),
    "lstm": Head(lstm),
}
"""Name in a study file → head."""


def heads_for_any_encoder() -> str:
    """The heads that need nothing of the architecture, as a message lists them: `linear, mlp or lstm`."""
    *names, last = (name for name, head in HEADS.items() if not head.native)
    return f"{', '.join(names)} or {last}"
