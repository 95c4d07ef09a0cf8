"""Learning rates and weight decay of each group of parameters."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from peftsearch.training.loop.optimizer import parameter_groups
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return resolve(str(tiny_model(tmp_path_factory.mktemp("bert"))))


def _groups(bert, method, **changes):
    settings = settings_of(method, learning_rate=0.01, **changes)
    config = TrialConfig(bert.name, method, settings, replace(TrainingConfig(), weight_decay=0.1))
    model = build_classifier(bert, METHODS[method], settings, 3)
    groups = parameter_groups(model, config)
    names = {id(p): name for name, p in model.named_parameters()}
    of = {names[id(p)]: (g["lr"], g["weight_decay"]) for g in groups for p in g["params"]}
    assert set(of) == {name for name, p in model.named_parameters() if p.requires_grad}
    assert len(of) == sum(len(g["params"]) for g in groups)
    return of


def test_head_ratio_and_no_decay_of_biases(bert):
    of = _groups(bert, "full", head_learning_rate_ratio=10.0)
    assert of["head.classify.1.weight"] == pytest.approx((0.1, 0.1))
    assert of["head.classify.1.bias"] == pytest.approx((0.1, 0.0))
    assert of["encoder.encoder.layer.0.output.dense.weight"] == (0.01, 0.1)
    assert of["encoder.encoder.layer.0.output.LayerNorm.weight"] == (0.01, 0.0)


def test_a_methods_own_rates(bert):
    of = _groups(bert, "lora", b_learning_rate_ratio=16.0)
    rates = {name.split("lora_")[1][0]: lr for name, (lr, _) in of.items() if "lora_" in name}
    assert rates == pytest.approx({"A": 0.01, "B": 0.16})
    assert of["head.classify.1.weight"][0] == 0.01


def test_layer_decay_leaves_the_head_alone(bert):
    of = _groups(bert, "full", layer_decay=0.5, head_learning_rate_ratio=2.0)
    assert of["encoder.embeddings.word_embeddings.weight"][0] == pytest.approx(0.0025)
    assert of["head.classify.1.weight"][0] == pytest.approx(0.02)


def test_a_missing_learning_rate_is_an_error_and_not_zero(bert):
    settings = settings_of("full")
    del settings["learning_rate"]
    model = build_classifier(bert, METHODS["full"], settings, 3)
    with pytest.raises(KeyError, match="learning_rate"):
        parameter_groups(model, TrialConfig(bert.name, "full", settings))
