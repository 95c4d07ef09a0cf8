"""Trainable parameters of published experiments, counted on models without memory (the meta device)."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, BertConfig, ModernBertConfig

from peftsearch.backbones.heads import NativeHead, PooledHead
from peftsearch.methods.table import METHODS
from tests.helpers.tuning import settings_of

ENGLISH, RUSSIAN = BertConfig(), BertConfig(vocab_size=119_547)
QUERY_VALUE = {"targets": "query_value", "head": "native"}


def _count(config, labels, method, **changes):
    settings = settings_of(method, **changes)
    with torch.device("meta"):
        if settings["head"] == "native":
            config.num_labels = labels
            model = AutoModelForSequenceClassification.from_config(config)
            encoder, head = model.base_model, NativeHead(model, 0.1)
        else:
            encoder = AutoModel.from_config(config, add_pooling_layer=False)
            head = PooledHead(settings["head"], settings["pooling"], config.hidden_size, labels, 0.1)
        tuned = METHODS[method].apply(encoder, settings)
    return sum(p.numel() for part in (tuned, head) for p in part.parameters() if p.requires_grad)


@pytest.mark.parametrize(
    ("method", "changes", "expected"),
    [
        ("full", {"head": "native"}, 109_486_854),
        ("probe", {"head": "mlp"}, 299_910),
        ("probe", {"head": "native"}, 4_614),
        ("prefix", {"virtual_tokens": 20, "projection": True, "head": "native"}, 14_784_774),
        ("lora", {"rank": 4, **QUERY_VALUE}, 152_070),
        ("lora", {"rank": 8, **QUERY_VALUE}, 299_526),
        ("lora", {"rank": 16, **QUERY_VALUE}, 594_438),
        ("lora", {"rank": 32, **QUERY_VALUE}, 1_184_262),
        ("lora", {"rank": 8, "targets": "query_value", "head": "linear"}, 299_526),
    ],
)
def test_bert_base_with_six_classes(method, changes, expected):
    assert _count(ENGLISH, 6, method, **changes) == expected


@pytest.mark.parametrize(
    ("method", "changes", "expected"),
    [
        ("full", {"head": "native"}, 177_854_978),
        ("frozen", {"frozen_layers": 10, "head": "native"}, 14_767_874),
        ("lora", {"rank": 8, **QUERY_VALUE}, 296_450),
    ],
)
def test_rubert_base_with_two_classes(method, changes, expected):
    assert _count(RUSSIAN, 2, method, **changes) == expected


def test_modernbert_bottlenecks_are_all_that_is_added():
    config = ModernBertConfig(num_hidden_layers=3, reference_compile=False)
    width, narrow = config.hidden_size, config.hidden_size // 16
    one = width * narrow + narrow + narrow * width + width
    with torch.device("meta"):
        encoder = METHODS["seq_bn"].apply(AutoModel.from_config(config), settings_of("seq_bn", reduction_factor=16))
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == 3 * one
