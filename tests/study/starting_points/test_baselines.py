from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.study.spec import StudySpec, parse_study
from peftsearch.study.values import middle
from tests.helpers.studies import STUDY, study

METHODS = STUDY[: STUDY.index("baselines:")]


@pytest.mark.parametrize(
    ("dimension", "point"),
    [
        (Fixed("cls"), "cls"),
        (Choice((4, 8, 16, 32)), 8),
        (Choice((True, False)), True),
        (Range(1e-4, 1e-2, log=True), 0.001),
        (Range(1e-5, 5e-4, log=True), 7.07e-5),
        (Range(0.0, 0.5), 0.25),
        (Range(4, 40, integer=True), 22),
        (Range(1, 100, log=True, integer=True), 10),
    ],
)
def test_middle(dimension, point):
    assert middle(dimension) == point
    assert type(middle(dimension)) is type(point)


def test_a_written_baseline_is_completed():
    full, _ = study().baselines
    assert (full.method, full.backbone, full.written) == ("full", "tiny", 0)
    assert full.settings["learning_rate"] == 2e-5
    assert full.settings["head"] == "linear"


def test_every_method_without_a_baseline_gets_its_default_point():
    _, lora = study().baselines
    assert (lora.method, lora.written) == ("lora", None)
    assert lora.settings["learning_rate"] == 0.001  # the geometric middle of the study's range
    assert lora.settings["targets"] == "query_value"  # the method's own default, which the study's choice has
    assert lora.settings["rank"] == 4
    assert lora.settings["dropout"] == 0.1
    assert lora.settings["batch_size"] == 8


def test_what_a_baseline_leaves_out_follows_the_study_before_the_method():
    text = METHODS.replace("targets: [query_value, all]", "targets: all, dropout: 0.3")
    settings = study(text + "baselines: [{method: lora, rank: 8}]").baselines[0].settings
    assert (settings["targets"], settings["dropout"], settings["rank"]) == ("all", 0.3, 8)


def test_outside_the_space_is_a_warning():
    spec = study(METHODS + "baselines: [{method: lora, rank: 64, learning_rate: 2e-5, dropout: 0.2}]")
    assert spec.warnings == (
        "toy.yaml: baselines[0].learning_rate: 2e-05 is outside the study's 0.0001 … 0.01 (log); tried as written",
        "toy.yaml: baselines[0].rank: 64 is outside the study's 16 | 4 | 8; tried as written",
        "toy.yaml: baselines[0].dropout: 0.2 is outside the study's 0.1; tried as written",
    )
    assert spec.baselines[0].settings["rank"] == 64


def test_the_same_baseline_twice_is_tried_once():
    spec = study(METHODS + "baselines: [{method: full, learning_rate: 2e-5}, {method: full, learning_rate: 0.00002}]")
    assert spec.warnings == ("toy.yaml: baselines[1]: is the same as baselines[0]; tried once",)
    assert [baseline.method for baseline in spec.baselines] == ["full", "lora"]


def test_baselines_of_several_backbones():
    text = METHODS.replace("[tiny]", "[tiny, other]")
    spec = study(text + "baselines: [{method: full}, {method: full, backbone: other}]")
    assert [(b.method, b.backbone) for b in spec.baselines] == [("full", "tiny"), ("full", "other"), ("lora", "tiny")]


def test_equal_baselines_and_draws_are_equal_as_json():
    """A baseline's 4.0 is the choice's 4, or the same configuration would be trained twice."""
    text = METHODS.replace("targets: [query_value, all]", "dropout: [0, 0.5]")
    settings = study(text + "baselines: [{method: lora, rank: 8.0, dropout: 0.0}]").baselines[0].settings
    assert [type(settings[name]) for name in ("rank", "dropout")] == [int, int]


def test_the_default_of_all_methods_counts_where_a_method_has_a_choice():
    text = METHODS.replace("full: {", "full: {pooling: [cls, mean], head: [mlp, native], ")
    settings = study(text).baselines[0].settings
    assert (settings["pooling"], settings["head"]) == ("mean", "mlp")


CHEAP = (
    METHODS.partition("methods:")[0]
    + """search: {portfolio: false}
methods:
  seq_bn: {}
  frozen: {epochs: [1, 3]}
  lora: {}
  probe: {}
  full: {}
  prompt: {}
  tfidf: {}
  none: {}
"""
)


def of_all_methods(text: str) -> StudySpec:
    return parse_study(yaml.safe_load(text), Path("toy.yaml"))


def order(baselines: str = "") -> list[str]:
    return [f"{b.method}{'' if b.written is None else b.written}" for b in of_all_methods(CHEAP + baselines).baselines]


def test_what_trains_no_encoder_is_tried_first_and_then_what_computes_least():
    assert order() == ["tfidf", "none", "probe", "frozen", "seq_bn", "lora", "full", "prompt"]


def test_baselines_in_the_file_keep_their_order_after_what_trains_no_encoder():
    written = "baselines: [{method: full}, {method: probe}, {method: lora}]"
    assert order(written) == ["tfidf", "none", "full0", "probe1", "lora2", "frozen", "seq_bn", "prompt"]


def test_what_a_method_s_own_epochs_compute_counts():
    text = CHEAP.replace("lora: {}", "lora: {epochs: 30}").replace("full: {}", "full: {epochs: 1}")
    trained = [baseline.method for baseline in of_all_methods(text).baselines][3:]
    assert trained == ["frozen", "full", "seq_bn", "prompt", "lora"]
