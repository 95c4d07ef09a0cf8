"""A key in the wrong section of a study file is told where it belongs, and what is told is right."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from peftsearch.cli import COMMANDS
from peftsearch.core.errors import UserError
from peftsearch.methods.table import METHODS
from peftsearch.study.mistakes.keys import OF_A_BACKBONE, OPTIONS, OTHER_NAMES, SECTIONS, SPECIAL, _homes
from peftsearch.study.sections import Backbone
from peftsearch.study.spec import parse_study

OWN = "write methods: {{{}: {{{}: …}}}}, for each method its own"
WRONG = [
    ({"training": {"learning_rate": 1e-5}}, "training.learning_rate", OWN.format("lora", "learning_rate")),
    ({"training": {"rank": 4}}, "training.rank", OWN.format("lora", "rank")),
    ({"training": {"virtual_tokens": 4}}, "training.virtual_tokens", OWN.format("prefix", "virtual_tokens")),
    ({"training": {"patience": 2}}, "training.patience", "write training: {early_stopping: {patience: …}}"),
    ({"training": {"num_train_epochs": 2}}, "training.num_train_epochs", "did you mean 'epochs'?"),
    ({"training": {"epoch": 2}}, "training.epoch", "did you mean 'epochs'?"),
    ({"epochs": 3}, "epochs", "write training: {epochs: …}"),
    ({"lr": 3}, "lr", OWN.format("lora", "learning_rate")),
    ({"lora": {}}, "lora", "write methods: {lora: …}"),
    ({"label": "x"}, "label", "write data: {label: …}"),
    ({"seed": 1}, "seed", "write data: {splits: {seed: …}} or training: {seed: …} or search: {seed: …}"),
    ({"max_len": 1}, "max_len", "write data: {max_length: …} or backbones: [{name: …, max_length: …}]"),
    ({"model": "x"}, "model", "did you mean 'backbones'?"),
    ({"search": {"trials": 9}}, "search.trials", "write peftsearch optimize --trials on the command line"),
    ({"search": {"sampelr": 9}}, "search.sampelr", "did you mean 'sampler'?"),
    ({"search": {"objectives": []}}, "search.objectives", "write objectives: at the left edge of the file"),
    ({"training": {0: 1}}, "training[0]", "a number is no key; write decimals with a point, as in 1.5e-4"),
]  # fmt: skip


def complaints(changes: dict[str, Any]) -> list[str]:
    """What a study is told that is right but for `changes`."""
    study = {"name": "toy", "data": {"source": "x.csv"}, "backbones": ["m"], "methods": {"lora": {}}, **changes}
    try:
        parse_study(study, Path("x.yaml"))
    except UserError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(("changes", "place", "told"), WRONG, ids=[row[1] for row in WRONG])
def test_a_key_in_the_wrong_section_is_told_where_it_belongs(changes: dict[str, Any], place: str, told: str) -> None:
    key = place.split(".")[-1] if "[" not in place else "0"
    assert complaints(changes) == [f"x.yaml: {place}: unknown key {key!r}; {told}"]


def test_under_a_method() -> None:
    told = {
        "lr": "did you mean 'learning_rate'?",
        "lora_alpha": "did you mean 'alpha_ratio'?",
        "Rank": "did you mean 'rank'?",
        "virtual_tokens": OWN.format("prefix", "virtual_tokens"),
        "max_grad_norm": "write training: {max_grad_norm: …}",
    }
    for key, text in told.items():
        assert complaints({"methods": {"lora": {key: 1}}}) == [
            f"x.yaml: methods.lora.{key}: lora has no dimension {key!r}; {text}"
        ]
    assert complaints({"methods": {"lora": {"dropout": 0, 5: None}}}) == [
        "x.yaml: methods.lora.5: lora has no dimension 5; a number is no key; write decimals with a point, as in 1.5e-4"
    ]


def test_the_training_rows_are_what_remains() -> None:
    for key in ("train",):
        assert complaints({"data": {"source": "x.csv", "splits": {key: 0.6}}}) == [
            f"x.yaml: data.splits.{key}: unknown key {key!r}; {SPECIAL['data', 'splits', key]}"
        ]


HOMES = [(key, home) for key, homes in _homes().items() for home in homes]


def test_what_is_told_is_right() -> None:
    """Each place that may be told is one in which the key is known."""
    assert len(HOMES) > 80
    for key, home in HOMES:
        if "left edge" in home:
            assert key in SECTIONS
        elif "command line" not in home:
            path = yaml.safe_load(home.partition(", for each")[0])
            section, value = next(iter(path.items()))
            told = complaints({section: value})
            assert not [line for line in told if f"unknown key {key!r}" in line or "no dimension" in line], home
            assert not [line for line in told if "no method" in line], home


def test_every_key_of_a_backbone_and_every_option_is_known() -> None:
    assert {*OF_A_BACKBONE, "name", "methods"} == {field.name for field in fields(Backbone)}
    options = {str(option.name) for option in COMMANDS["optimize"].params}
    assert set(OPTIONS) <= options


def test_other_names_lead_to_names_that_there_are() -> None:
    assert set(OTHER_NAMES.values()) <= {*_homes(), *SECTIONS}
    known = {*_homes(), *(key for method in METHODS.values() for key in method.hyperparameters)}
    assert not set(OTHER_NAMES) & known, "a key of a study file is called so itself"


@pytest.mark.parametrize(
    ("name", "told"),
    [("LoRA", "lora"), ("linear_probing", "probe"), ("Houlsby", "double_seq_bn"), ("full-fine-tuning", "full")],
)
def test_methods_by_other_names(name: str, told: str) -> None:
    assert complaints({"methods": {name: {}}}) == [
        f"x.yaml: methods.{name}: no method {name!r}; did you mean {told!r}?"
    ]


def test_methods_that_are_no_mapping() -> None:
    assert complaints({"methods": ["lora"]}) == [
        "x.yaml: methods: must be a mapping like {probe: {}, lora: {}}, but got ['lora']"
    ]


def test_a_setting_for_all_methods_cannot_be_searched() -> None:
    assert complaints({"training": {"epochs": [1, 2]}}) == [
        "x.yaml: training.epochs: must be a whole number within 1 … 10000, but got [1, 2]; "
        "a method can search it, as in methods: {lora: {epochs: …}}"
    ]
