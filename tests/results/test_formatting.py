"""Numbers and settings as people read them."""

from __future__ import annotations

import doctest

import pytest

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.core.objectives import OBJECTIVES
from peftsearch.methods.hyperparameters import SHARED, Hyperparameter, learning_rate
from peftsearch.results import formatting

KNOWN = {
    **SHARED,
    "learning_rate": learning_rate(1e-4, 1e-2),
    "rank": Hyperparameter(Choice((4, 8)), Range(1, 256, integer=True), ""),
    "dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), ""),
    "projection": Hyperparameter(Choice((True, False)), Choice((True, False)), ""),
}


def test_doctests() -> None:
    assert doctest.testmod(formatting).failed == 0


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (1920, "1,920"), (999_999, "999,999"), (1_184_262, "1.18 M"), (2.5e9, "2.5 B")]
)
def test_counts(count: int, text: str) -> None:
    assert formatting.count_in_words(count) == text


def test_settings_tell_what_is_searched_or_unusual_and_leave_the_defaults_out() -> None:
    settings = {
        "learning_rate": 3.12e-4,
        "rank": 8,
        "dropout": 0.1,
        "head": "linear",
        "pooling": "cls",
        "projection": False,
    }
    config = TrialConfig("m", "lora", settings, TrainingConfig(batch_size=16))
    told = formatting.settings_in_words(config, KNOWN, {"batch_size"})
    assert told == "pooling cls, lr 3.1e-4, rank 8, no projection, batch size 16"


def test_training_is_told_where_trials_differ_in_it() -> None:
    configs = [TrialConfig("m", "full", {}, TrainingConfig(batch_size=size, warmup=0.5)) for size in (16, 32)]
    assert formatting.varied_training(configs) == {"batch_size"}
    assert formatting.varied_training(configs[:1]) == set()


def test_params_hold_every_searchable_hyperparameter() -> None:
    params = formatting.searchable_settings(TrialConfig("m", "lora", {"rank": 8}))
    assert params["rank"] == 8
    assert params["warmup"] == 0.1


def test_every_objective_has_a_heading_with_its_unit() -> None:
    for objective in OBJECTIVES.values():
        label, unit = formatting.objective_heading(objective).split("\n")
        assert label
        assert unit == objective.unit


def test_objectives_in_a_sentence() -> None:
    told = [formatting.objective_with_unit(*pair) for pair in (("macro_f1", 0.81234), ("trainable_parameters", 1920.0))]
    assert told == ["macro F1 0.8123", "1,920 trainable parameters"]
    assert formatting.objective_with_unit("train_seconds", 8.1) == "train time 8.10 s"
