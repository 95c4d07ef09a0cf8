from __future__ import annotations

import json

import pytest

from peftsearch.study.signature import differences, signature, without_secrets
from tests.helpers.studies import STUDY, study

SAME = [
    STUDY + "goal: another\nsearch: {sampler: random, pruner: none, seed: 5}",
    STUDY.replace("2e-5", "3e-5"),
    STUDY.replace("[16, 4, 8]", "[4, 8, 16]"),
    STUDY.replace("batch_size: [8, 16]", "batch_size: [16, 8]"),
    STUDY + "training: {epochs: 3, label_smoothing: 0}",
    STUDY.replace("[16, 4, 8]", "[16.0, 4.0, 8.0]"),
]


@pytest.mark.parametrize("text", SAME)
def test_what_may_change_between_two_runs(text):
    assert differences(study(text), signature(study())) == []
    assert signature(study(text)) == signature(study())


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ("[16, 4, 8]", "[4, 8]", ["methods.lora.rank: 4 | 8 here, 4 | 8 | 16 there"]),
        (", batch_size: [8, 16]", "", ["methods.lora.batch_size: not set here, 8 | 16 there"]),
        (
            "{log: [1.0e-5, 1.0e-3]}",
            "{range: [1.0e-5, 1.0e-3]}",
            ["methods.full.learning_rate: 1e-05 … 0.001 here, 1e-05 … 0.001 (log) there"],
        ),
        ("rows.csv", "{train: a.csv}", ["data.source: not set here, rows.csv there",
                                        "data.source.train: a.csv here, not set there"]),
        ("[tiny]", "[{name: tiny, revision: v1}]", ["backbones.tiny: v1 here, any revision there"]),
        ("[tiny]", "[{name: tiny, max_length: 64, methods: [lora, full]}]",
         ["backbones.tiny.max_length: 64 here, not set there",
          "backbones.tiny.methods: full, lora here, not set there"]),
        ("[tiny]", "[{name: tiny, tokenizer: bert}]",
         ["backbones.tiny.tokenizer: bert (any revision) here, not set there"]),
        ("name: toy", "name: toy\ntraining: {epochs: 4}", ["training.epochs: 4 here, 3 there"]),
        (
            "name: toy",
            "name: toy\nobjectives: [macro_f1]",
            ["objectives: macro_f1 here, macro_f1, trainable_parameters, train_seconds there"],
        ),
    ],
)  # fmt: skip
def test_what_differs_is_named(old, new, lines):
    assert differences(study(STUDY.replace(old, new)), signature(study())) == lines


def test_a_storage_from_before_a_training_field_came_to_be_was_searched_with_its_default():
    stored = json.loads(signature(study()))
    del stored["training.class_weights"], stored["training.focal_gamma"]
    assert differences(study(), json.dumps(stored)) == []
    balanced = study(STUDY + "training: {class_weights: balanced}")
    assert differences(balanced, json.dumps(stored)) == ["training.class_weights: balanced here, not set there"]


def test_a_storage_from_before_a_hyperparameter_came_to_be_was_searched_with_its_default():
    stored = json.loads(signature(study()))
    del stored["methods.lora.dropout"]
    assert differences(study(), json.dumps(stored)) == []
    other = study(STUDY.replace("lora: {", "lora: {dropout: 0.2, "))
    assert differences(other, json.dumps(stored)) == ["methods.lora.dropout: 0.2 here, not set there"]
    alone = {place: text for place, text in stored.items() if not place.startswith("methods.lora")}
    assert "methods.lora.head: linear here, not set there" in differences(study(), json.dumps(alone))


def test_whole_and_real_ranges_differ():
    def tokens(dimension: str) -> str:
        text = "name: x\ndata: {source: a.csv}\nbackbones: [tiny]\nmethods: {prefix: {virtual_tokens: %s}}"
        return signature(study(text % dimension))

    assert json.loads(tokens("{int: [4, 40]}"))["methods.prefix.virtual_tokens"] == "4 … 40 (int)"
    assert tokens("{int: [4, 40]}") != tokens("{int_log: [4, 40]}")


URL = "https://me:hush@host/rows.csv?sig=hush"


@pytest.mark.parametrize("source", [f'"{URL}"', f'{{train: "{URL}", test: "{URL}&part=2"}}'])
def test_secrets_of_urls_are_not_kept_and_still_tell_data_apart(source):
    spec = study(STUDY.replace("rows.csv", source))
    assert "hush" not in signature(spec)
    assert differences(spec, signature(spec)) == []
    other = study(STUDY.replace("rows.csv", source.replace("rows.csv?sig=hush", "rows.csv?sig=hush2")))
    lines = differences(other, signature(spec))
    assert lines
    assert "hush" not in str(lines)


def test_a_signature_of_an_earlier_version_is_compared_as_it_was_and_cleaned():
    spec = study(STUDY.replace("rows.csv", f'"{URL}"'))
    earlier = json.dumps({**json.loads(signature(spec)), "data.source": URL}, sort_keys=True)
    assert differences(spec, earlier) == []
    assert without_secrets(earlier) == signature(spec)
    assert "hush" not in str(differences(study(), earlier))


def test_whether_every_epoch_counts_may_change_between_two_runs_of_a_study():
    assert differences(study(STUDY + "every_epoch: false\n"), signature(study())) == []


def test_the_tolerance_may_change_between_two_runs_of_a_study():
    assert differences(study(STUDY + "tolerance: {macro_f1: 0.01}\n"), signature(study())) == []


def test_constraints_may_change_between_two_runs_of_a_study():
    assert differences(study(STUDY + "constraints: {macro_f1: 0.5}\n"), signature(study())) == []
