"""The model class that an exported folder brings if its architecture's own classifier cannot express the trained one.

`modeling.py` joins this file with those that it imports. The result needs torch, transformers, and the library of the
method if that cannot be merged. peftsearch itself never runs it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from peftsearch.backbones.head_modules import LstmHead, NativeHead, PooledHead, linear_layers, mlp_layers
from peftsearch.backbones.poolings import POOLINGS
from peftsearch.export.standard.untuned import tuned


class TextEncoderClassifierConfig(PretrainedConfig):
    """What the classifier is built from.

    Args:
        encoder: the configuration of the pretrained encoder.
        encoder_options: further arguments of the encoder's class.
        head: `native` (the architecture's own), `linear`, `mlp` or `lstm`.
        pooling: how `linear` and `mlp` get one state from those of all tokens: `cls`, `mean`, `max` or `last`.
        head_dropout: the probability in training.
        takes_token_types: whether the encoder tells the two texts of a pair apart by `token_type_ids`.
        adapter: what a library of tuning methods has added to the encoder; None if nothing.
    """

    model_type = "text_encoder_classifier"

    def __init__(
        self,
        encoder: Mapping[str, Any] | None = None,
        encoder_options: Mapping[str, Any] | None = None,
        head: str = "linear",
        pooling: str = "cls",
        head_dropout: float = 0.1,
        takes_token_types: bool = False,
        adapter: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.encoder_options = encoder_options
        self.head = head
        self.pooling = pooling
        self.head_dropout = head_dropout
        self.takes_token_types = takes_token_types
        self.adapter = adapter


class TextEncoderClassifier(PreTrainedModel):
    """A pretrained encoder, tuned, and a head that reads the states of its last layer."""

    config_class = TextEncoderClassifierConfig
    base_model_prefix = "encoder"

    def __init__(self, config: TextEncoderClassifierConfig) -> None:
        super().__init__(config)
        described = AutoConfig.for_model(**(config.encoder or {}))
        described.num_labels = config.num_labels
        if config.head == "native":
            whole = AutoModelForSequenceClassification.from_config(described)
            encoder = getattr(whole, whole.base_model_prefix)
            self.head: nn.Module = NativeHead(whole, config.head_dropout)
        else:
            encoder = AutoModel.from_config(described, **(config.encoder_options or {}))
            self.head = pooled_head(config, described.hidden_size)
        self.encoder = encoder if config.adapter is None else tuned(encoder, config.adapter)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        labels: Tensor | None = None,
        **kwargs: Any,
    ) -> SequenceClassifierOutput:
        """Logits of shape (rows, labels), and the cross-entropy if the rows' `labels` are given."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        segments = {}
        if self.config.takes_token_types and token_type_ids is not None:
            segments["token_type_ids"] = token_type_ids
        logits = self.head(self.encoder(input_ids=input_ids, attention_mask=mask, **segments), mask)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)


def pooled_head(config: TextEncoderClassifierConfig, width: int) -> nn.Module:
    """The head that the configuration names, over states of this width."""
    labels, dropout = config.num_labels, config.head_dropout
    if config.head == "lstm":
        return LstmHead(width, labels, dropout)
    layers = mlp_layers if config.head == "mlp" else linear_layers
    return PooledHead(POOLINGS[config.pooling], layers(width, labels, dropout))
