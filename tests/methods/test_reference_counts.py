"""Trainable parameters of published experiments, counted on models without memory (the meta device)."""

from __future__ import annotations

import pytest
import torch
from transformers import AutoModel, AutoModelForSequenceClassification, BertConfig, MambaConfig, ModernBertConfig

from peftsearch.backbones.heads import HEADS, HeadInputs
from peftsearch.methods.table import METHODS
from tests.helpers.tuning import settings_of

ENGLISH, RUSSIAN = BertConfig(), BertConfig(vocab_size=119_547)
QUERY_VALUE = {"targets": "query_value", "head": "native"}


def _count(config, labels, method, **changes):
    return sum(p.numel() for part in _built(config, labels, method, **changes) for p in _trained(part))


def _built(config, labels, method, **changes):
    settings = settings_of(method, **changes)
    with torch.device("meta"):
        model, kind = None, HEADS[settings["head"]]
        if kind.native:
            config.num_labels = labels
            model = AutoModelForSequenceClassification.from_config(config)
            encoder = model.base_model
        else:
            no_pooler = {"add_pooling_layer": False} if config.model_type == "bert" else {}
            encoder = AutoModel.from_config(config, **no_pooler)
        head = kind.build(HeadInputs(config.hidden_size, labels, 0.1, settings["pooling"], model))
        tuned = METHODS[method].apply(encoder, settings)
    return tuned, head


def _trained(module):
    return [p for p in module.parameters() if p.requires_grad]


def _by_epoch(config, labels, epochs, **changes):
    tuned, head = _built(config, labels, "unfreezing", **changes)
    stages = METHODS["unfreezing"].stages(tuned, settings_of("unfreezing", **changes), epochs)
    parameters, own = dict(tuned.named_parameters()), sum(p.numel() for p in head.parameters())
    return [own + sum(parameters[name].numel() for name in names) for names in stages]


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


RUMODERNBERT = ModernBertConfig(reference_compile=False)
"""The architecture of deepvk/RuModernBERT-base: 22 layers, width 768, a vocabulary of 50,368."""


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("from_end", [55_178_513, 110_343_185, 149_027_345]),
        ("query_key_value", [12_989_201, 25_965_329, 38_941_457]),
        # The notebook's mistake was the last number in every epoch.
        ("from_start", [38_696_465, 93_861_137, 149_027_345]),
        ("refreeze", [149_027_345, 110_343_953, 55_179_281]),
    ],
)
def test_rumodernbert_thaws_with_seventeen_classes(order, expected):
    assert _by_epoch(RUMODERNBERT, 17, 3, order=order, stages=3) == expected


def test_a_plan_gives_the_notebook_s_stages_in_its_own_words():
    counts = _by_epoch(RUMODERNBERT, 17, 3, order="planned", plan="11-21; 0-21; all")
    assert counts == [55_178_513, 110_343_185, 149_027_345]
    counts = _by_epoch(RUMODERNBERT, 17, 3, order="planned", plan="query; query key; query, key, value")
    assert counts == [12_989_201, 25_965_329, 38_941_457]


def test_freezing_leaves_the_embeddings_of_a_large_vocabulary_out():
    """92 million of RuBERT's 178 are words of other languages: no measure of what was tuned."""
    with torch.device("meta"):
        encoder = AutoModel.from_config(RUSSIAN, add_pooling_layer=False)
        frozen = METHODS["frozen"].apply(encoder, settings_of("frozen", frozen_layers=0))
    assert not any(p.requires_grad for p in frozen.embeddings.parameters())
    assert sum(p.numel() for p in frozen.embeddings.parameters()) == 92_208_384


def test_a_stage_may_last_several_epochs():
    counts = _by_epoch(RUMODERNBERT, 17, 7, order="from_end", stages=3, every=2)
    first, second, last = 55_178_513, 110_343_185, 149_027_345
    assert counts == [first, first, second, second, last, last, last]


def test_mamba_130m_with_two_classes():
    config = MambaConfig(num_hidden_layers=24, vocab_size=50_280)
    assert _count(config, 2, "full", head="linear", pooling="last") == 129_136_898
