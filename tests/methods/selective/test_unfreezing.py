"""What each stage of gradual unfreezing trains, on fused projections too."""

from __future__ import annotations

import pytest
import torch

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.core.errors import UserError
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from tests.helpers.tiny import WIDTH, tiny_model
from tests.helpers.tuning import TEXTS, settings_of, take_steps

UNFREEZING = METHODS["unfreezing"]


def _built(resolved, **changes):
    settings = settings_of("unfreezing", **changes)
    torch.manual_seed(0)
    return build_classifier(resolved, UNFREEZING, settings, 3), settings


def _batch(resolved):
    return load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")


def _stages(resolved, epochs=3, **changes):
    classifier, settings = _built(resolved, **changes)
    return UNFREEZING.stages(classifier.encoder, settings, epochs)


@pytest.mark.parametrize("architecture", ["bert", "roberta", "distilbert", "modernbert", "mpnet", "deberta-v2"])
@pytest.mark.parametrize("order", ["from_end", "from_start", "query_key_value"])
def test_stages_grow_to_all_that_is_trainable(tiny, architecture, order):
    first, second, third = _stages(tiny(architecture), order=order)
    classifier, _ = _built(tiny(architecture), order=order)
    assert first < second < third
    assert third == {name for name, p in classifier.encoder.named_parameters() if p.requires_grad}


def test_refreezing_goes_the_other_way(tiny):
    first, second, third = _stages(tiny("bert"), order="refreeze")
    assert first > second > third
    assert not any("embeddings" in name for name in second)
    assert {name.split(".")[2] for name in third if name.startswith("encoder.layer")} == {"1"}


def test_the_end_thaws_first_or_last(tiny):
    of_layer = {"0": set(), "1": set()}
    for order in ("from_end", "from_start"):
        for i, names in enumerate(_stages(tiny("bert"), order=order)):
            for layer in of_layer:
                if any(name.startswith(f"encoder.layer.{layer}.") for name in names):
                    of_layer[layer].add((order, i))
    assert of_layer == {
        "0": {("from_end", 1), ("from_end", 2), ("from_start", 1), ("from_start", 2)},
        "1": {("from_end", 0), ("from_end", 1), ("from_end", 2), ("from_start", 2)},
    }


def test_unfused_queries_are_their_own_modules(tiny):
    queries, _, _ = _stages(tiny("bert"), order="query_key_value")
    assert queries == {f"encoder.layer.{i}.attention.self.query.{kind}" for i in (0, 1) for kind in ("weight", "bias")}


@pytest.mark.parametrize(("stage", "thawed"), enumerate([("query",), ("query", "key"), ("query", "key", "value")]))
def test_a_fused_projection_trains_exactly_the_rows_of_its_stage(tiny, stage, thawed):
    resolved = tiny("modernbert")
    classifier, settings = _built(resolved, order="query_key_value")
    before = classifier.encoder.layers[0].attn.Wqkv.weight.detach().clone()
    names = UNFREEZING.stages(classifier.encoder, settings, 3)[stage]
    for name, parameter in classifier.encoder.named_parameters():
        parameter.requires_grad_(name in names)
    trained = [p for p in classifier.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=0.01, weight_decay=0.5)
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(classifier(**_batch(resolved)).logits, torch.tensor([0, 1, 2])).backward()
        optimizer.step()
    moved = (classifier.encoder.layers[0].attn.Wqkv.weight != before).any(dim=1)
    expected = torch.arange(3 * WIDTH) < len(thawed) * WIDTH
    assert torch.equal(moved, expected)
    assert sum(p.numel() for p in trained) == 2 * len(thawed) * WIDTH * WIDTH + 3 * WIDTH + 3


def test_a_split_projection_computes_what_the_fused_one_did(tiny):
    resolved = tiny("modernbert")
    split, fused = _built(resolved, order="query_key_value")[0].eval(), _built(resolved, order="from_end")[0].eval()
    fused.head.load_state_dict(split.head.state_dict())
    with torch.no_grad():
        assert torch.equal(split(**_batch(resolved)).logits, fused(**_batch(resolved)).logits)


def test_a_plain_encoder_has_transformers_own_names_and_the_trained_rows(tiny, tmp_path):
    from transformers import AutoModel

    resolved = tiny("modernbert")
    classifier, _ = _built(resolved, order="query_key_value")
    take_steps(classifier, _batch(resolved))
    expected = classifier.eval()(**_batch(resolved)).logits
    plain = UNFREEZING.merged(classifier.encoder)
    plain.save_pretrained(tmp_path)
    classifier.encoder = AutoModel.from_pretrained(tmp_path)
    assert set(plain.state_dict()) == set(AutoModel.from_pretrained(resolved.path).state_dict())
    assert torch.allclose(classifier.eval()(**_batch(resolved)).logits, expected, atol=1e-6)


def test_more_stages_than_layers_are_refused(tiny):
    with pytest.raises(UserError, match=r"4 stages need 3 layers, but it has 2$"):
        _built(tiny("bert"), stages=4)


PLANS = {
    "bert": "query value; 1, embeddings; head; all",
    "distilbert": "query value; 1, embeddings; head; all",
    "modernbert": "query value; 1, embeddings, rest; head; all",
    "mamba": "1; 0-1, rest; head; embeddings",
}


def _is_planned(name: str, part: str, layers: str) -> bool:
    """Whether a parameter is of a plan's part, told by what each architecture calls it, not by its anatomy."""
    queries = ("query", "q_lin", "Wqkv.parametrizations.weight.original0")
    values = ("value", "v_lin", "Wqkv.parametrizations.weight.original2")
    return {
        "query": any(f".{word}" in name for word in queries),
        "value": any(f".{word}" in name for word in values),
        "embeddings": "embeddings" in name,
        "rest": name.startswith(("final_norm", "norm_f")),
        "head": False,
        "all": True,
        "1": name.startswith(f"{layers}.1."),
        "0-1": name.startswith((f"{layers}.0.", f"{layers}.1.")),
    }[part]


LAYERS = {"bert": "encoder.layer", "distilbert": "transformer.layer", "modernbert": "layers", "mamba": "layers"}


@pytest.mark.parametrize("architecture", PLANS)
def test_a_plan_trains_in_each_stage_what_it_names_and_nothing_else(tiny, architecture):
    resolved, plan = tiny(architecture), PLANS[architecture]
    classifier, settings = _built(resolved, order="planned", plan=plan, head_dropout=0.0, every=2)
    encoder, written = classifier.encoder, [stage.replace(",", " ").split() for stage in plan.split(";")]
    stages = UNFREEZING.stages(encoder, settings, 9)
    assert stages[:8:2] == stages[1:8:2]
    assert stages[8] == stages[7]
    names = [name for name, _ in encoder.named_parameters()]
    assert {name for name, p in encoder.named_parameters() if p.requires_grad} == set().union(*stages)
    for parts, trained in zip(written, stages[::2], strict=False):
        assert trained == {n for n in names if any(_is_planned(n, part, LAYERS[architecture]) for part in parts)}
        before = {name: p.detach().clone() for name, p in classifier.named_parameters()}
        for name, parameter in encoder.named_parameters():
            parameter.requires_grad_(name in trained)
        take_steps(classifier, _batch(resolved))
        moved = {name for name, p in classifier.named_parameters() if not torch.equal(p, before[name])}
        assert {name for name in moved if name.startswith("encoder.")} == {f"encoder.{name}" for name in trained}
        assert {name for name in moved if name.startswith("head.")}


def test_a_plan_leaves_alone_what_no_stage_names(tiny):
    classifier, _ = _built(tiny("bert"), order="planned", plan="1; query")
    trained = {name for name, p in classifier.encoder.named_parameters() if p.requires_grad}
    assert {name for name in trained if "layer.0." in name} == {
        f"encoder.layer.0.attention.self.query.{kind}" for kind in ("weight", "bias")
    }
    assert not any("embeddings" in name for name in trained)


@pytest.mark.parametrize(("plan", "split"), [("1; all", False), ("1; key; all", True)])
def test_only_a_plan_that_names_projections_splits_fused_ones(tiny, plan, split):
    classifier, _ = _built(tiny("modernbert"), order="planned", plan=plan)
    assert any("parametrizations" in name for name, _ in classifier.encoder.named_parameters()) is split


def test_a_layer_is_known_by_its_place_not_by_the_digits_of_a_name(tmp_path):
    resolved = resolve(str(tiny_model(tmp_path, "bert", layers=12)))
    first, both = _stages(resolved, epochs=2, order="planned", plan="1; 1, 11")
    assert {name.split(".")[2] for name in first} == {"1"}
    assert {name.split(".")[2] for name in both} == {"1", "11"}
