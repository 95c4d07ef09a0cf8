"""The interface by which AdapterHub is told where an architecture's modules are, beside its own support of BERT."""

from __future__ import annotations

from dataclasses import replace

import adapters
import pytest
import torch

from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.loading import load_encoder, load_tokenizer
from peftsearch.methods.adapterhub import adding
from peftsearch.methods.table import METHODS
from tests.helpers.tuning import TEXTS, settings_of

NAMES = {"attn.q": "self.query", "attn.k": "self.key", "attn.v": "self.value", "dropout": "output.dropout",
         "attention.LayerNorm": "attention.output.LayerNorm"}  # fmt: skip
"""The names in MPNet's interface → those of the same modules in BERT, where they differ."""


def perturbed(encoder: torch.nn.Module) -> torch.nn.Module:
    """Pretrained norms differ from layer to layer; those of a new model are all the same."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if "LayerNorm" in name:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return encoder


def adapted(tiny, architecture: str, method: str) -> torch.nn.Module:
    """The encoder with adapters that are far from doing nothing."""
    encoder = perturbed(load_encoder(tiny(architecture)))
    encoder = METHODS[method].apply(encoder, settings_of(method))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return encoder


def states(encoder: torch.nn.Module, batch, train: bool) -> torch.Tensor:
    torch.manual_seed(2)
    with torch.no_grad():
        return encoder.train(train)(**batch).last_hidden_state


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("method", ["seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft"])
def test_mpnets_interface_gives_on_bert_what_adapterhubs_own_support_does(tiny, monkeypatch, method, train):
    batch = load_tokenizer(tiny("bert"))(*TEXTS, padding=True, return_tensors="pt")
    own = adapted(tiny, "bert", method)
    interface = {key: NAMES.get(str(name), name) for key, name in FAMILIES["mpnet"].adapterhub_interface.items()}
    interface["adapter_methods"] = FAMILIES["mpnet"].adapterhub_interface["adapter_methods"]
    monkeypatch.setitem(FAMILIES, "bert", replace(FAMILIES["bert"], adapterhub_interface=interface))
    told = adapted(tiny, "bert", method)
    trained = [[tuple(p.shape) for p in encoder.parameters() if p.requires_grad] for encoder in (own, told)]
    assert sorted(trained[0]) == sorted(trained[1])
    torch.testing.assert_close(states(told, batch, train), states(own, batch, train), rtol=1e-5, atol=1e-5)


def test_a_parallel_bottleneck_that_adds_nothing_leaves_mpnet_as_it_was(tiny):
    batch = load_tokenizer(tiny("mpnet"))(TEXTS[0], padding=True, return_tensors="pt")
    encoder = adapted(tiny, "mpnet", "par_bn")
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter.zero_()
    plain = perturbed(load_encoder(tiny("mpnet")))
    torch.testing.assert_close(states(encoder, batch, train=False), states(plain, batch, train=False))


def test_adapters_still_hands_the_last_layers_norms_to_all_layers(tiny, monkeypatch):
    """Once this fails, `_use_own_norms` may go (adapters 1.3.0)."""
    monkeypatch.setattr(adding, "use_own_norms", lambda *_: None)
    encoder = adapted(tiny, "mpnet", "seq_bn")
    given = []
    encoder.encoder.layer[0].output_adapters.register_forward_pre_hook(lambda _, states: given.append(states[2]))
    states(encoder, load_tokenizer(tiny("mpnet"))(TEXTS[0], padding=True, return_tensors="pt"), train=False)
    assert given == [encoder.encoder.layer[-1].output.LayerNorm]
    assert adapters.__version__ == "1.3.0"


def test_each_layers_adapters_are_given_its_own_norms(tiny):
    encoder = adapted(tiny, "mpnet", "double_seq_bn")
    given = []
    for layer in encoder.encoder.layer:
        for module in (layer.attention_adapters, layer.output_adapters):
            module.register_forward_pre_hook(lambda _, states: given.append(states[2]))
    states(encoder, load_tokenizer(tiny("mpnet"))(TEXTS[0], padding=True, return_tensors="pt"), train=False)
    assert given == [
        norm for layer in encoder.encoder.layer for norm in (layer.attention.LayerNorm, layer.output.LayerNorm)
    ]
