"""Dimensions that change nothing, found when a study file is read; those that count somewhere, tried there."""

from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.dimensions import Choice, Fixed, extremes
from peftsearch.core.errors import UserError
from peftsearch.methods.hyperparameters import TRAINING
from peftsearch.methods.table import METHODS
from peftsearch.study.compatibility import check_feasible, corners
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.spec import parse_study
from peftsearch.study.suggest import suggest
from peftsearch.study.yaml_file import parse_document

TEXT = "name: toy\ndata: {source: rows.csv}\nbackbones: [%s]\nmethods:\n  unfreezing: {%s}\n"


def study(dimensions: str, backbone: str = "tiny", baselines: str = ""):
    problems = Problems("toy.yaml")
    document = parse_document(TEXT % (backbone, dimensions) + baselines, problems)
    return parse_study(document, Path("toy.yaml"), problems, METHODS)


def test_a_plan_is_a_dimension_that_counts_under_its_order_only():
    spec = study('order: [from_end, planned], plan: ["1; all", 0], stages: [2, 3]')
    assert spec.methods["unfreezing"]["plan"] == Choice(("1; all", "0"))
    assert spec.methods["unfreezing"]["order"] == Choice(("from_end", "planned"))
    drawn = [_drawn(spec, seed) for seed in range(12)]
    assert {("unfreezing.plan" in params) for params, settings in drawn if settings["order"] == "planned"} == {True}
    assert {("unfreezing.plan" in params) for params, settings in drawn if settings["order"] == "from_end"} == {False}
    assert {("unfreezing.stages" in params) for params, settings in drawn if settings["order"] == "planned"} == {False}


def _drawn(spec, seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
    settings = suggest(spec, trial).settings
    return trial.params, settings


@pytest.mark.parametrize("written", ["8", "'8'", "8.0"])
def test_a_plan_of_one_layer_is_text(written):
    assert study(f"order: planned, plan: {written}").methods["unfreezing"]["plan"] == Fixed("8")


def test_a_study_without_a_plan_has_the_four_orders():
    space = study("").methods["unfreezing"]
    assert space["order"] == Choice(("from_end", "from_start", "query_key_value", "refreeze"))
    assert space["plan"] == Fixed("")


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ("plan: '1; all'",
         "plan: changes nothing where order is from_end | from_start | query_key_value | refreeze; "
         "leave it out, or let order be planned too"),
        ("order: from_end, plan: ['1', all]",
         "plan: changes nothing where order is from_end; leave it out, or let order be planned too"),
        ("order: [planned, query_key_value], plan: all, stages: [2, 3]",
         "stages: changes nothing where order is planned | query_key_value; "
         "leave it out, or let order be from_end or from_start or refreeze too"),
        ("head: native, pooling: [cls, mean]",
         "pooling: changes nothing where head is native; leave it out, or let head be linear or mlp too"),
        ("order: plannd, plan: all", "order: got 'plannd'; did you mean 'planned'?"),
        ("order: planned, plan: 1 + 2", "plan: must be text like '10-11; 8-11; all', but got '1 + 2'"),
        ("order: planned, plan: true", "plan: must be text like '10-11; 8-11; all', but got True"),
        ("order: planned, plan: {int: [1, 2]}",
         "plan: must be text like '10-11; 8-11; all', but got the range 1 … 2; write a list"),
    ],
)  # fmt: skip
def test_what_changes_nothing_or_is_no_plan(dimensions, message):
    with pytest.raises(UserError) as error:
        study(dimensions)
    assert str(error.value) == f"toy.yaml: methods.unfreezing.{message}"


def test_a_baseline_s_setting_that_changes_nothing_is_a_warning():
    baselines = "baselines: [{method: unfreezing, order: from_end, plan: all}]"
    assert study("order: [from_end, planned], plan: [all, '1']", baselines=baselines).warnings == (
        "toy.yaml: baselines[0].plan: changes nothing where order is from_end; leave it out",
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_setting_of_training_under_a_method_that_takes_no_steps_is_a_warning(name):
    training = {key: list(extremes(valid)[:2]) for key, valid in TRAINING.items()}
    document = {"name": "toy", "data": {"source": "rows.csv"}, "backbones": ["tiny"], "methods": {name: training}}
    warned = [
        f"toy.yaml: methods.{name}.{key}: changes nothing: {name} is not trained in steps; leave it out"
        for key in training
    ]
    assert list(parse_study(document, Path("toy.yaml")).warnings) == ([] if METHODS[name].takes_steps else warned)


def test_every_option_is_tried_where_it_counts():
    space = study("order: [from_end, planned, query_key_value], plan: ['1', all], stages: [2, 3]").methods["unfreezing"]
    tried = {(s["order"], s["plan"], s["stages"]) for s in corners(METHODS["unfreezing"], space)}
    assert tried == {
        *(("from_end", "1", 2), ("planned", "1", 2), ("query_key_value", "1", 2)),
        *(("planned", "all", 2), ("from_end", "1", 3)),
    }


@pytest.mark.parametrize(
    ("dimensions", "message"),
    [
        ("order: planned", 'order: planned needs a plan, like plan: "10-11; 8-11; all"'),
        ("order: [from_end, planned], plan: [all, 0-2]", "the plan names layer 2, but its layers are 0 to 1"),
    ],
)
def test_what_an_encoder_has_not_is_found_before_any_trial(tmp_path, dimensions, message):
    from tests.helpers.tiny import tiny_model

    folder = str(tiny_model(tmp_path / "bert"))
    with pytest.raises(UserError) as error:
        check_feasible(study(dimensions, backbone=folder))
    assert str(error.value) == f"method unfreezing cannot tune {folder!r}: {message}"
