"""LoRA's variants and relatives: what each adds, where, and what it starts from."""

from __future__ import annotations

import pytest
import torch

from peftsearch.backbones.loading import load_tokenizer
from peftsearch.core.errors import UserError
from peftsearch.methods.build import build_classifier
from peftsearch.methods.peft_library.adalora import non_orthogonality
from peftsearch.methods.table import METHODS
from tests.helpers.tiny import WIDTH
from tests.helpers.tuning import TEXTS, settings_of

VARIANTS = [
    {"rslora": True},
    {"dora": True},
    {"initialization": "pissa"},
    {"initialization": "pissa", "rslora": True, "targets": "all"},
    {"top_layers": 1, "targets": "attention"},
]
BESIDE_LINEAR = ("lora", "adalora", "vera", "loha", "lokr")


def _build(resolved, method, **changes):
    torch.manual_seed(0)
    return build_classifier(resolved, METHODS[method], settings_of(method, **changes), 3)


def _logits(classifier, resolved):
    with torch.no_grad():
        return classifier.eval()(**load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")).logits


def _trained(classifier):
    return {name: p for name, p in classifier.encoder.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("architecture", ["bert", "modernbert"])
@pytest.mark.parametrize("changes", VARIANTS)
def test_a_variant_starts_where_the_pretrained_encoder_is(tiny, architecture, changes):
    resolved = tiny(architecture)
    tuned, plain = _build(resolved, "lora", **changes), _build(resolved, "probe", head="linear", pooling="mean")
    plain.head.load_state_dict(tuned.head.state_dict())
    assert torch.allclose(
        _logits(tuned, resolved), _logits(plain, resolved), atol=1e-4 if "initialization" in changes else 1e-6
    )


def test_pissa_takes_the_largest_singular_vectors_out_of_the_frozen_weights(tiny):
    rank, weight = 2, "encoder.layer.0.attention.self.query"
    plain = _build(tiny("bert"), "probe").encoder.get_submodule(weight).weight
    tuned = _build(tiny("bert"), "lora", initialization="pissa", rank=rank, targets="query_value")
    rest = tuned.encoder.base_model.model.get_submodule(weight).base_layer.weight
    assert torch.allclose(torch.linalg.svdvals(rest)[:-rank], torch.linalg.svdvals(plain)[rank:], atol=1e-4)


@pytest.mark.parametrize("method", BESIDE_LINEAR)
def test_only_the_top_layers_are_tuned(tiny, method):
    assert {name.split("encoder.layer.")[1][0] for name in _trained(_build(tiny("bert"), method, top_layers=1))} == {
        "1"
    }


@pytest.mark.parametrize("method", BESIDE_LINEAR)
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (0.1, "top_layers is 0.1, which is none of its 2 layers"),
        (3, "top_layers is 3, but it has 2 layers"),
        (2.5, "top_layers must be a whole number, or a share from 0 to 1, but got 2.5"),
    ],
)
def test_no_such_top_layers(tiny, method, asked, message):
    with pytest.raises(UserError) as error:
        _build(tiny("bert"), method, top_layers=asked)
    assert str(error.value) == f"method {method} cannot tune {tiny('bert').name!r}: {message}"


def test_b_learns_at_its_own_rate(tiny):
    settings = settings_of("lora", b_learning_rate_ratio=16.0)
    encoder = _build(tiny("bert"), "lora").encoder
    rates = METHODS["lora"].learning_rate_multipliers(encoder, settings)
    assert set(rates) == {name for name in _trained(_build(tiny("bert"), "lora")) if "lora_B" in name}
    assert set(rates.values()) == {16.0}


@pytest.mark.parametrize(
    ("method", "changes", "a_module"),
    [
        ("lora", {"dora": True, "rank": 2}, 2 * 2 * WIDTH + WIDTH),
        ("adalora", {"rank": 2, "initial_ratio": 1.5}, 3 * (2 * WIDTH + 1)),
        ("vera", {"rank": 5}, 5 + WIDTH),
        ("loha", {"rank": 2}, 2 * 2 * 2 * WIDTH),
    ],
)
def test_what_each_adds_to_a_module(tiny, method, changes, a_module):
    classifier = _build(tiny("bert"), method, targets="query_value", **changes)
    assert sum(p.numel() for p in _trained(classifier).values()) == 2 * 2 * a_module


def test_ia3_scales_keys_values_and_inner_states(tiny):
    assert sum(p.numel() for p in _trained(_build(tiny("bert"), "ia3")).values()) == 2 * (WIDTH + WIDTH + 2 * WIDTH)


def test_adalora_ends_with_the_ranks_asked_for(tiny):
    resolved, settings, steps = tiny("bert"), settings_of("adalora", rank=2, initial_ratio=2.0, targets="all"), 20
    method = METHODS["adalora"]
    torch.manual_seed(0)
    classifier = build_classifier(resolved, method, settings, 3)
    batch = load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")
    optimizer = torch.optim.AdamW([p for p in classifier.parameters() if p.requires_grad], lr=0.01)
    method.begin(classifier.encoder, settings, steps)
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier(**batch).logits, torch.tensor([0, 1, 2])).backward()
        method.before_step(classifier.encoder, settings)
        optimizer.step()
        method.after_step(classifier.encoder, settings, step)
        if step == 2:
            assert _ranks(classifier) == [4] * 12
    ranks = _ranks(classifier)
    assert sum(ranks) == 2 * 12
    assert len(set(ranks)) > 1


def test_adaloras_penalty_pulls_towards_orthogonal_vectors(tiny):
    encoder = _build(tiny("bert"), "adalora").encoder
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=0.5)
    before = non_orthogonality(encoder).item()
    for _ in range(5):
        optimizer.zero_grad()
        METHODS["adalora"].before_step(encoder, {})
        optimizer.step()
    assert non_orthogonality(encoder).item() < before


def _ranks(classifier):
    return [int(p.count_nonzero()) for name, p in classifier.named_parameters() if ".lora_E." in name]
