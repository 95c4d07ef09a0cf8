from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from peftsearch.core.config import NEWER_FIELDS, SEARCHABLE_TRAINING, EarlyStopping, TrainingConfig, TrialConfig

CONFIG = TrialConfig(
    backbone="tiny",
    method="lora",
    settings={"rank": 8, "targets": "all", "dropout": 0.1},
    training=TrainingConfig(epochs=2, early_stopping=EarlyStopping(patience=2)),
    evaluate=("evaluate:mae",),
)


def test_survives_json():
    for config in (CONFIG, replace(CONFIG, training=TrainingConfig())):
        again = TrialConfig.from_dict(json.loads(json.dumps(config.to_dict())))
        assert again == config
        assert again.key() == config.key()


def test_key_is_the_same_in_every_process_and_order():
    turned = replace(CONFIG, settings=dict(reversed(CONFIG.settings.items())))
    assert turned.key() == CONFIG.key()
    assert len(CONFIG.key()) == 16
    assert CONFIG.key() == TrialConfig.from_dict(CONFIG.to_dict()).key()


@pytest.mark.parametrize(
    "change",
    [
        {"settings": {**CONFIG.settings, "rank": 16}},
        {"backbone": "other"},
        {"method": "full"},
        {"max_length": 64},
        {"revision": "0" * 40},
        {"tokenizer": "other"},
        {"tokenizer": "other", "tokenizer_revision": "0" * 40},
        {"selection": "accuracy"},
        {"evaluate": ("evaluate:accuracy",)},
        {"measure": ("latency_ms",)},
        {"training": replace(CONFIG.training, seed=1)},
        {"training": replace(CONFIG.training, early_stopping=None)},
    ],
)
def test_every_difference_changes_the_key(change):
    assert replace(CONFIG, **change).key() != CONFIG.key()


def test_a_config_from_before_a_field_came_to_be_has_its_default():
    old = TrialConfig("tiny", "full").to_dict()
    del old["evaluate"], old["training"]["class_weights"], old["training"]["focal_gamma"]
    assert TrialConfig.from_dict(old) == TrialConfig("tiny", "full")


def test_a_config_without_a_tokenizer_of_its_own_has_the_key_it_always_had():
    assert TrialConfig("tiny", "full").key() == "dc58c528ad58a8a6"
    assert not set(NEWER_FIELDS) & set(TrialConfig("tiny", "full").to_dict())


def test_a_config_keeps_what_it_is_asked_to_measure():
    asked = TrialConfig("tiny", "full", measure=("latency_ms",))
    assert TrialConfig.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_searchable_fields_exist():
    assert set(SEARCHABLE_TRAINING) <= {field.name for field in fields(TrainingConfig)}
