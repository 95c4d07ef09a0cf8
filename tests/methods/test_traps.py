"""Faults of libraries that this package works around: a failure here says that a workaround may go."""

from __future__ import annotations

import adapters
import peft
import pytest
import torch
from safetensors.torch import load_file

from peftsearch.backbones.loading import _weights, load_encoder, load_tokenizer
from peftsearch.methods.adapterhub import adding
from peftsearch.methods.adapterhub.adding import NAME
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from tests.helpers.tuning import TEXTS, settings_of

PREFIX = {"task_type": "FEATURE_EXTRACTION", "num_virtual_tokens": 3}


def test_adapters_still_gives_modernbert_a_random_bias(tiny):
    encoder = load_encoder(tiny("modernbert"))
    adapters.init(encoder)
    assert encoder.layers[0].attn.Wqkv.bias is not None


def test_adapters_still_cannot_write_a_prefix_as_safetensors(tiny, tmp_path):
    encoder = load_encoder(tiny("roberta"))
    adapters.init(encoder)
    encoder.add_adapter(NAME, config=adapters.PrefixTuningConfig(prefix_length=3), set_active=True)
    with pytest.raises(RuntimeError, match="share memory"):
        encoder.save_adapter(str(tmp_path), NAME, use_safetensors=True)


def test_adapters_still_warns_while_it_activates(tiny, caplog):
    encoder = load_encoder(tiny("bert"))
    adapters.init(encoder)
    encoder.add_adapter(NAME, config="seq_bn", set_active=True)
    assert "none are activated" in caplog.text


def test_adapters_still_leaves_shared_factors_out_of_a_bare_encoders_file(tiny, tmp_path):
    encoder = load_encoder(tiny("bert"))
    adapters.init(encoder)
    encoder.add_adapter(NAME, config=adapters.CompacterConfig(reduction_factor=4), set_active=True)
    encoder.save_adapter(str(tmp_path), NAME, use_safetensors=True)
    assert not any("shared_parameters" in name for name in load_file(tmp_path / "adapter.safetensors"))


def test_adapters_still_adds_an_edit_that_no_token_reaches(tiny):
    encoder = load_encoder(tiny("bert"))
    adapters.init(encoder)
    encoder.add_adapter(NAME, config=adapters.LoReftConfig(suffix_positions=0), set_active=True)
    assert any(".units.1." in name for name, _ in encoder.named_parameters())


def test_unipelts_gates_still_see_the_padding(tiny, monkeypatch):
    """Once this fails, `adding.gate_by_text` may go (adapters 1.3.0)."""
    monkeypatch.setattr(adding, "gate_by_text", lambda encoder: None)
    resolved = tiny("bert")
    settings = settings_of("unipelt")
    torch.manual_seed(0)
    classifier = build_classifier(resolved, METHODS["unipelt"], settings, 3).eval()
    tokenizer = load_tokenizer(resolved)
    short = tokenizer(["good cat"], return_tensors="pt")
    padded = tokenizer(["good cat"], padding="max_length", max_length=20, return_tensors="pt")
    with torch.no_grad():
        assert not torch.allclose(classifier(**short).logits, classifier(**padded).logits, atol=1e-5)


def test_without_padding_unipelts_gates_are_those_of_the_library(tiny, monkeypatch):
    resolved, settings, logits = tiny("bert"), settings_of("unipelt"), []
    short = load_tokenizer(resolved)(["good cat"], return_tensors="pt")
    for gated in (adding.gate_by_text, lambda encoder: None):
        monkeypatch.setattr(adding, "gate_by_text", gated)
        torch.manual_seed(0)
        classifier = build_classifier(resolved, METHODS["unipelt"], settings, 3).eval()
        with torch.no_grad():
            for name, parameter in classifier.named_parameters():
                if "gate" in name:
                    parameter.add_(torch.randn_like(parameter))
            logits.append(classifier(**short).logits)
    torch.testing.assert_close(logits[0], logits[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ["modernbert", "mpnet"])
def test_adapters_still_has_no_prefix_tuning_for(tiny, architecture):
    encoder = load_encoder(tiny(architecture))
    with pytest.raises(ValueError, match=r"not supported|not pre-supported"):
        _add_prefix(encoder)


@pytest.mark.parametrize("architecture", ["distilbert", "modernbert", "mpnet", "deberta-v2", "albert"])
def test_peft_still_has_no_prefix_tuning_for(tiny, architecture):
    resolved = tiny(architecture)
    batch = load_tokenizer(resolved)(TEXTS[0], padding=True, return_tensors="pt")
    with pytest.raises((ValueError, TypeError, RuntimeError)):
        peft.get_peft_model(load_encoder(resolved), peft.PrefixTuningConfig(**PREFIX))(**batch)


def test_peft_still_leaves_a_loaded_prefix_trainable(tiny, tmp_path):
    peft.get_peft_model(load_encoder(tiny("bert")), peft.PrefixTuningConfig(**PREFIX)).save_pretrained(
        tmp_path, save_embedding_layers=False
    )
    loaded = peft.PeftModel.from_pretrained(load_encoder(tiny("bert")), tmp_path, is_trainable=False)
    assert any(p.requires_grad for p in loaded.parameters())


def test_peft_still_drops_token_types_from_prefix_tuning(tiny):
    resolved = tiny("bert")
    encoder = peft.get_peft_model(load_encoder(resolved), peft.PrefixTuningConfig(**PREFIX))
    batch = load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")
    with pytest.warns(UserWarning, match="Token type ids are not supported"):
        encoder(**batch)


def test_transformers_still_hands_out_the_tensors_it_was_given(tiny):
    from transformers import AutoConfig, BertModel

    path = tiny("bert").path
    given = dict(_weights(path))
    model = BertModel.from_pretrained(None, config=AutoConfig.from_pretrained(path), state_dict=given)
    name = "embeddings.word_embeddings.weight"
    assert model.get_parameter(name).data_ptr() == given[name].data_ptr()


def _add_prefix(encoder):
    adapters.init(encoder)
    encoder.add_adapter(NAME, config=adapters.PrefixTuningConfig())


def test_transformers_still_skips_initialisations_that_adapters_keeps(tiny):
    """Once this fails, `adding.torchs_initialization` may go (transformers 4.57.6, adapters 1.3.0)."""
    from transformers.modeling_utils import no_init_weights

    encoder = load_encoder(tiny("bert"))
    adapters.init(encoder)
    with no_init_weights(), pytest.raises(TypeError, match="NoneType"):
        encoder.add_adapter(NAME, config=adapters.CompacterConfig(reduction_factor=4))
