"""The classifier: what runs in eval mode, what its encoder is given, what its parameters are called."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from peftsearch.backbones.classifier import Classifier
from peftsearch.backbones.heads import HEADS, HeadInputs


class _Encoder(nn.Module):
    """Embeddings, two layers and a tail, each with a dropout; it remembers what it was called with."""

    def __init__(self):
        super().__init__()
        self.embed, self.one, self.two, self.norm = (nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)) for _ in range(4))

    def forward(self, **inputs):
        self.called_with = inputs
        states = torch.ones(*inputs["input_ids"].shape, 2)
        return SimpleNamespace(last_hidden_state=self.norm(self.two(self.one(self.embed(states)))))


def _classifier(trained=(), *, token_types=True):
    encoder = _Encoder().requires_grad_(False)
    for name in trained:
        encoder.get_submodule(name).requires_grad_(True)
    return Classifier(
        encoder,
        HEADS["linear"].build(HeadInputs(2, 3, 0.5, "mean")),
        embeddings=[encoder.embed],
        layers=[encoder.one, encoder.two],
        tail=[encoder.norm],
        takes_token_types=token_types,
    )


def _training(classifier):
    encoder = classifier.encoder
    return [name for name in ("embed", "one", "two", "norm") if encoder.get_submodule(name)[1].training]


@pytest.mark.parametrize(
    ("trained", "expected"),
    [
        ((), []),
        (("norm",), ["norm"]),
        (("two",), ["two", "norm"]),
        (("one",), ["one", "two", "norm"]),
        (("embed",), ["embed", "one", "two", "norm"]),
        (("one", "norm"), ["one", "two", "norm"]),
    ],
)
def test_what_lies_below_the_first_trained_part_has_no_dropout(trained, expected):
    classifier = _classifier(trained).train()
    assert _training(classifier) == expected
    assert classifier.head.classify[0].training
    assert _training(classifier.eval()) == []
    assert not classifier.head.classify[0].training


def test_tensors_outside_the_blocks_reach_the_first_layer():
    classifier = _classifier()
    classifier.encoder.prefix = nn.Parameter(torch.zeros(2))
    assert _training(classifier.train()) == ["one", "two", "norm"]


def test_the_frozen_prefix_follows_what_is_trained_now():
    classifier = _classifier(("two",)).train()
    classifier.encoder.embed.requires_grad_(True)
    assert _training(classifier.train()) == ["embed", "one", "two", "norm"]


@pytest.mark.parametrize("to_none", [True, False])
def test_no_gradient_is_left_of_any_tensor(to_none):
    classifier = _classifier(("embed", "two")).eval()  # dropout may leave no gradient at all
    classifier(torch.ones(2, 4, dtype=torch.long)).logits.sum().backward()
    assert any(p.grad is not None and p.grad.any() for p in classifier.encoder.parameters())
    classifier.zero_grad(set_to_none=to_none)
    assert not any(p.grad is not None and (to_none or p.grad.any()) for p in classifier.parameters())


def test_names_of_parameters_tell_head_from_encoder_and_come_once():
    names = [name for name, _ in _classifier().named_parameters()]
    assert {name.split(".")[0] for name in names} == {"encoder", "head"}
    assert len(_classifier().state_dict()) == len(names)


@pytest.mark.parametrize("token_types", [True, False])
def test_token_types_go_only_to_an_encoder_that_has_them(token_types):
    classifier = _classifier(token_types=token_types)
    ids = torch.ones(2, 4, dtype=torch.long)
    assert classifier(ids, token_type_ids=ids).logits.shape == (2, 3)
    assert ("token_type_ids" in classifier.encoder.called_with) is token_types


def test_without_a_mask_every_token_is_real():
    classifier = _classifier().eval()
    ids = torch.ones(2, 4, dtype=torch.long)
    assert torch.equal(classifier(ids).logits, classifier(ids, torch.ones_like(ids)).logits)
