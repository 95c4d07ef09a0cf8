from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from peftsearch.core.config import EarlyStopping, SearchConfig, TrainingConfig, valid_field_values
from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.core.errors import UserError
from peftsearch.core.front.tolerance import EXACT, Margin
from peftsearch.study.overrides import Overrides
from peftsearch.study.sections import Backbone
from peftsearch.study.spec import load_study, parse_study
from peftsearch.study.suggest import baseline_config
from tests.helpers.studies import STUDY, TABLE, study


def problems(text: str) -> list[str]:
    with pytest.raises(UserError) as error:
        study(text)
    return [line.removeprefix("toy.yaml: ") for line in str(error.value).splitlines()]


def with_line(line: str) -> str:
    """The toy study with one more line at its end; it may replace a section."""
    key = line.split(":")[0]
    sections = STUDY.replace("\n  ", "\0 ").splitlines()
    return "\n".join([section for section in sections if not section.startswith(key + ":")] + [line]).replace(
        "\0", "\n "
    )


def test_a_study_in_full():
    spec = study(
        STUDY
        + """\
goal: Which?
training: {epochs: 5, weight_decay: 1e-3, early_stopping: {patience: 2, threshold: 0.01}}
objectives: [accuracy, train_seconds]
search: {sampler: random, pruner: none, seed: 7, startup_trials: 3}
"""
    )
    assert (spec.name, spec.goal, spec.folder) == ("toy", "Which?", Path())
    assert (spec.data.source, spec.data.max_length) == ("rows.csv", 128)
    assert spec.training == TrainingConfig(epochs=5, weight_decay=0.001, early_stopping=EarlyStopping(2, 0.01))
    assert spec.objectives == ("accuracy", "train_seconds")
    assert spec.directions == ("maximize", "minimize")
    assert spec.selection == "accuracy"
    assert spec.search == SearchConfig("random", "none", 7, 3)
    assert spec.backbones == (Backbone("tiny"),)
    assert spec.warnings == ()


def test_what_a_study_leaves_out_has_defaults():
    spec = study()
    assert spec.training == TrainingConfig()
    assert spec.search == SearchConfig(portfolio=False)
    assert study(STUDY + "search: {}").search == SearchConfig()
    assert spec.objectives == ("macro_f1", "trainable_parameters", "train_seconds")
    assert spec.methods["lora"]["dropout"] == Fixed(0.1)
    assert spec.methods["full"]["head"] == Fixed("linear")


def test_the_epoch_is_chosen_by_a_metric_even_if_none_is_an_objective():
    assert study(STUDY + "objectives: [train_seconds, peak_memory_mb]").selection == "macro_f1"


@pytest.mark.parametrize(
    ("objectives", "selection"),
    [
        ("[train_seconds, matthews_correlation, macro_f1]", "matthews_correlation"),
        ("[evaluate:accuracy, macro_f1]", "evaluate:accuracy"),
        ("[evaluate:mae, train_seconds]", "macro_f1"),
        ("[evaluate:mae, f1_positive]", "f1_positive"),
    ],
)
def test_the_epoch_is_chosen_by_the_first_metric_that_is_maximised(objectives, selection):
    assert study(STUDY + f"objectives: {objectives}").selection == selection


def test_a_metric_of_evaluate_reaches_the_trials_and_has_its_direction():
    spec = study(STUDY + "objectives: [macro_f1, evaluate:mae]")
    assert spec.directions == ("maximize", "minimize")
    assert baseline_config(spec, spec.baselines[0]).evaluate == ("evaluate:mae",)


def test_only_the_name_of_a_metric_follows_evaluate():
    with pytest.raises(UserError) as error:
        study(STUDY + "objectives: [macro_f1, 'evaluate:./mine.py']")
    assert str(error.value) == (
        "toy.yaml: objectives[1]: no objective 'evaluate:./mine.py'; after 'evaluate:' stands a metric's name,"
        " as in 'evaluate:accuracy'"
    )


def test_remedies_for_imbalance_are_read_and_searched():
    spec = study(STUDY.replace("batch_size: [8, 16]", "class_weights: [none, balanced], focal_gamma: {range: [0, 3]}")
                 + "training: {class_weights: balanced, focal_gamma: 2}")  # fmt: skip
    assert (spec.training.class_weights, spec.training.focal_gamma) == ("balanced", 2)
    assert spec.methods["lora"]["class_weights"] == Choice(("none", "balanced"))
    with pytest.raises(UserError, match="class_weights: got 'balance'"):
        study(STUDY + "training: {class_weights: balance}")


def test_space_of_a_method():
    space = study().methods["lora"]
    assert space["rank"] == Choice((16, 4, 8))
    assert space["learning_rate"] == Range(1e-4, 1e-2, log=True)
    assert space["batch_size"] == Choice((8, 16))
    assert set(space) == set(TABLE["lora"].hyperparameters) | {"batch_size"}


def test_whole_numbers_are_whole_however_they_are_written():
    line = "methods: {full: {}, lora: {rank: ['8', 4.0], dropout: 0, targets: [all]}}"
    space = study(with_line(line)).methods["lora"]
    assert space["rank"] == Choice((8, 4))
    assert [type(option) for option in space["rank"].options] == [int, int]
    assert type(space["dropout"].value) is int  # as written: a method may tell 1 from 1.0
    assert space["targets"] == Fixed("all")


def test_every_training_key_is_checked():
    own = {field.name for field in fields(TrainingConfig)}
    assert own == {*valid_field_values(TrainingConfig), "early_stopping"}


def test_all_problems_at_once_each_with_its_place_value_and_nearest_name():
    assert problems(
        """\
name: a/b
nmae: x
data: {source: [1], text: text, splits: {validation: 2, sed: 1}, limt: 3}
backbones: [tiny, tiny, {name: x, trust_remote_code: true, revison: main}, 3]
training: {epochs: 0, ephocs: 3, batch_size: 2.5, precision: fp8, early_stopping: {treshold: 2}}
objectives: [macro_f2, macro_f1, macro_f1]
methods:
  full: {learning_rate: {log: [1e-3, 1e-5]}, learning_rate: 1}
  full: {learning_rate: {log: [1e-3, 1e-5]}}
  lorra: {}
  lora: {rnak: 4, rank: {range: [1, 8]}, targets: [qv, all], dropout: 2, head: {int: [1, 2]}, batch_size: [0, 8]}
  prefix: 3
baselines:
  - {method: bert}
  - 4
  - {method: full, learning_rate: 100, backbone: big, rank: 4}
  - {learning_rate: 1}
search: {sampler: tpr, pruner: medan, seed: -1, startup: 3}
"""
    ) == [
        "methods.full.learning_rate: is written twice; keep one",
        "methods.full: is written twice; keep one",
        "nmae: unknown key 'nmae'; did you mean 'name'?",
        "name: may have letters, digits, - and _ only (it names files), but got 'a/b'",
        "data.splits.sed: unknown key 'sed'; did you mean 'seed'?",
        "data.limt: unknown key 'limt'; did you mean 'limit'?",
        "data.source: must be text or a mapping, but got [1]",
        "data.splits.validation: must be less than 1, but got 2",
        "backbones[1]: 'tiny' is written twice; keep one",
        "backbones[2].trust_remote_code: needs 'revision' to be a commit of 40 hex digits, but got None",
        "backbones[2].revison: unknown key 'revison'; did you mean 'revision'?",
        "backbones[3]: must be a model's name or {name: …, revision: …}, but got 3",
        "training.epochs: must be a whole number within 1 … 10000, but got 0",
        "training.batch_size: must be a whole number within 1 … 65536, but got 2.5",
        "training.precision: got 'fp8'; valid: auto, bf16, fp16, fp32, tf32",
        "training.early_stopping.patience: is missing",
        "training.early_stopping.treshold: unknown key 'treshold'; did you mean 'threshold'?",
        "training.ephocs: unknown key 'ephocs'; did you mean 'epochs'?",
        "objectives[0]: no objective 'macro_f2'; did you mean 'macro_f1'?",
        "objectives[2]: 'macro_f1' is written twice; keep one",
        "methods.full.learning_rate: range 0.001..1e-05 is upside down; write the lower end first",
        "methods.lorra: no method 'lorra'; did you mean 'lora'?",
        "methods.lora.rnak: lora has no dimension 'rnak'; did you mean 'rank'?",
        "methods.lora.head: got 1; valid: linear, lstm, mlp, native",
        "methods.lora.head: got 2; valid: linear, lstm, mlp, native",
        "methods.lora.rank: takes whole numbers; write {int: [1, 8]}",
        "methods.lora.dropout: must be within 0 … 0.9, but got 2",
        "methods.lora.targets: got 'qv'; valid: all, attention, query_value",
        "methods.lora.batch_size: must be a whole number within 1 … 65536, but got 0",
        "methods.prefix: must be a mapping, but got 3",
        "baselines[0].method: no method 'bert'; valid: full, lora, prefix",
        "baselines[1]: must be a mapping like {method: full, learning_rate: 2.0e-5}, but got 4",
        "baselines[2].backbone: no backbone 'big'; valid: tiny, x",
        "baselines[2].rank: full has no dimension 'rank'; write methods: {lora: {rank: …}}, for each method its own",
        "baselines[2].learning_rate: must be within 1e-08 … 10, but got 100",
        "baselines[3].method: is missing",
        "search.sampler: got 'tpr'; did you mean 'tpe'?",
        "search.pruner: got 'medan'; did you mean 'median'?",
        "search.seed: must be a whole number within 0 … 4294967295, but got -1",
        "search.startup: unknown key 'startup'; did you mean 'startup_trials'?",
    ]


def test_a_study_of_the_package_is_called_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # in a checkout of the repository it is `studies/emotion.yaml` as well
    assert load_study("emotion").warnings[0].startswith("emotion.yaml: baselines[1].learning_rate: 2e-05 is outside")


def test_a_single_problem_is_one_line():
    with pytest.raises(UserError) as error:
        study(with_line("methods: {full: {}, lora: {rnak: 4}}"))
    assert str(error.value) == "toy.yaml: methods.lora.rnak: lora has no dimension 'rnak'; did you mean 'rank'?"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("name:", "name: is missing"),
        ("name: 12", "name: may have letters, digits, - and _ only (it names files), but got 12"),
        ("name: ../x", "name: may have letters, digits, - and _ only (it names files), but got '../x'"),
        ('name: "toy\\n"', "name: may have letters, digits, - and _ only (it names files), but got 'toy\\n'"),
        ("data: {text: text}", "data.source: is missing"),
        ("data: x.csv", "data: must be a mapping, but got 'x.csv'"),
        (
            "data: {source: {tran: a.csv}}",
            "data.source: 'tran' is not a split; valid: train, validation, test",
        ),
        ("data: {source: a.csv, max_length: x}", "data.max_length: must be a whole number, but got 'x'"),
        ("backbones: tiny", "backbones: must be a list like [sentence-transformers/all-MiniLM-L6-v2], but got 'tiny'"),
        ("backbones: []", "backbones: is empty; name at least one model"),
        (
            "backbones: [{revision: 12, name: tiny}]",
            "backbones[0].revision: must be text, but got 12; quote it",
        ),
        (
            "backbones: [{name: tiny, trust_remote_code: 1}]",
            "backbones[0].trust_remote_code: must be true or false, but",
        ),
        (
            "data: {source: a.csv, splits: {test: 1, validation: x}}",
            "data.splits.validation: must be a number, but got",
        ),
        ("data: {source: a.csv, text: [a]}", "data.text: takes one column, or two for pairs, but got 1"),
        ("data: {source: a.csv, drop_labels: spam}", "data.drop_labels: must be a list, but got 'spam'; write [spam]"),
        ("data: {source: a.csv, strip: maybe}", "data.strip: must be true or false, but got 'maybe'"),
        ("data: {source: a.csv, splits: {sed: 1}}", "data.splits.sed: unknown key 'sed'; did you mean 'seed'?"),
        ("backbones: [{name: ' '}]", "backbones[0].name: must not be empty, but got ' '"),
        ("backbones: [{revision: v1}]", "backbones[0].name: is missing"),
        ("training: 3", "training: must be a mapping, but got 3"),
        ("training: {epochs: true}", "training.epochs: must be a whole number within 1 … 10000, but got True"),
        ("training: {warmup: .nan}", "training.warmup: must be within 0 … 1, but got nan"),
        ("training: {early_stopping: 3}", "training.early_stopping: must be a mapping, but got 3"),
        ("objectives: macro_f1", "objectives: must be a list like [macro_f1, train_seconds], but got 'macro_f1'"),
        ("objectives: []", "objectives: is empty; name at least one"),
        ("methods: {}", "methods: is empty; name at least one of full, lora, prefix"),
        ("methods: [full]", "methods: must be a mapping like {probe: {}, lora: {}}, but got ['full']"),
        ("methods: {full: {head: {range: [0, 1]}}}", "methods.full.head: got 0.0; valid: linear, lstm, mlp, native"),
        ("methods: {full: {head: []}}", "methods.full.head: an empty list has nothing to choose from"),
        (
            "methods: {prefix: {projection: yes please}}",
            "methods.prefix.projection: got 'yes please'; valid: False, True",
        ),
        (
            "baselines: {method: full}",
            "baselines: must be a list like [{method: full, learning_rate: 2.0e-5}], but got",
        ),
        (
            "baselines: [{method: prefix}]",
            "baselines[0].method: 'prefix' is not among this study's methods; add it under",
        ),
        ("search: tpe", "search: must be a mapping, but got 'tpe'"),
    ],
)
def test_problems_one_by_one(line, problem):
    found = problems(with_line(line))
    assert any(text.startswith(problem) for text in found), found


@pytest.mark.parametrize(("text", "shown"), [("", "None"), ("- 1", "[1]"), ("name", "'name'")])
def test_a_file_that_is_no_mapping(text, shown):
    assert problems(text) == [f"must be a mapping with the keys name, data, backbones, methods, but got {shown}"]


def test_numbers_spelled_as_text_count_everywhere():
    spec = study(
        with_line("data: {source: a.csv, limit: {train: 2e3}, splits: {test: 2e-1}}")
        + "\ntraining: {weight_decay: '1e-3', batch_size: 6.4e1}"
    )
    assert (spec.data.limit.train, spec.data.splits.test) == (2000, 0.2)
    assert (spec.training.weight_decay, spec.training.batch_size) == (0.001, 64)
    assert type(spec.training.batch_size) is int


def test_remote_code_with_a_pinned_commit():
    commit = "a" * 40
    spec = study(with_line(f"backbones: [{{name: tiny, revision: {commit}, trust_remote_code: true}}]"))
    assert spec.backbones == (Backbone("tiny", commit, True),)


@pytest.mark.parametrize(
    ("backbones", "baseline", "problem"),
    [
        ("[{name: a, methods: [ful]}, b]", "", "backbones[0].methods[0]: no method 'ful' here; did you mean 'full'?"),
        ("[{name: a, methods: [full]}]", "", "methods.lora: tunes no backbone; add it to the methods of one"),
        (
            "[{name: a, max_length: 3}, b]",
            "",
            "backbones[0].max_length: must be a whole number within 4 … 1000000, but got 3",
        ),
        (
            "[{name: a, tokenizer: 3}, b]",
            "",
            "backbones[0].tokenizer: must be text, but got 3; quote it",
        ),
        (
            "[{name: a, tokenizer_revision: v1}, b]",
            "",
            "backbones[0].tokenizer_revision: pins nothing without 'tokenizer'; revision: pins the backbone's own",
        ),
        (
            "[{name: a, methods: full}, b]",
            "",
            "backbones[0].methods: must be a list, but got 'full'; write [full]",
        ),
        (
            "[{name: a, methods: [full]}, b]",
            "  - {method: lora, backbone: a}\n",
            "baselines[1].backbone: 'a' is not tuned by 'lora'; add it to that backbone's methods",
        ),
    ],
)
def test_what_a_backbone_says_of_itself(backbones, baseline, problem):
    with pytest.raises(UserError) as caught:
        study(STUDY.replace("[tiny]", backbones) + baseline)
    assert problem in [line.removeprefix("toy.yaml: ") for line in str(caught.value).splitlines()]


def test_its_document_makes_the_same_study_after_a_pass_through_json(tmp_path):
    """Labels may be any scalars in YAML, and overrides are applied already."""
    file = tmp_path / "toy.yaml"
    data = "{source: rows.csv, map_labels: {1: good, 2.0: good, false: good, bad: 0}}"
    lora = "{learning_rate: {log: [1e-4, 1e-2]}, rank: [4, 8]}"
    file.write_text(f"name: toy\ndata: {data}\nbackbones: [a, b]\nmethods: {{lora: {lora}}}\n")
    spec = load_study(str(file), Overrides(backbones=("c",), limit={"train": 9}))
    assert parse_study(json.loads(json.dumps(spec.document)), file) == spec
    assert [backbone.name for backbone in spec.backbones] == ["c"]
    assert spec.data.map_labels == {"1": "good", "2.0": "good", "false": "good", "bad": "0"}


def test_constraints_are_bounds_on_any_objective_and_are_measured():
    spec = study(STUDY + "constraints: {trainable_parameters: 1_000_000, latency_ms: 20, 'evaluate:mae': 1e-1}\n")
    assert [str(constraint) for constraint in spec.constraints] == [
        "trainable_parameters <= 1,000,000",
        "latency_ms <= 20",
        "evaluate:mae <= 0.1",
    ]
    assert spec.measured == ("macro_f1", "trainable_parameters", "train_seconds", "latency_ms", "evaluate:mae")
    config = baseline_config(spec, spec.baselines[0])
    assert (config.measure, config.evaluate) == (("latency_ms",), ("evaluate:mae",))
    unasked = baseline_config(study(), study().baselines[0])
    assert (unasked.measure, unasked.evaluate) == ((), ())


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("[latency_ms]", "constraints: must be a mapping, but got ['latency_ms']"),
        ("{latency: 20}", "constraints.latency: no objective 'latency'; did you mean 'latency_ms'?"),
        ("{latency_ms: fast}", "constraints.latency_ms: must be a number, but got 'fast'"),
        ("{latency_ms: true}", "constraints.latency_ms: must be a number, but got True"),
        ("{latency_ms: .inf}", "constraints.latency_ms: must be a number, but got inf"),
        ("{latency_ms: 0}", "constraints.latency_ms: must be above 0, but got 0; no trial has less"),
        ("{model_size_mb: -1}", "constraints.model_size_mb: must be above 0, but got -1; no trial has less"),
        ("{macro_f1: 80}", "constraints.macro_f1: must be above 0 and at most 1, but got 80; a trial has 0..1"),
        (
            "{matthews_correlation: -1}",
            "constraints.matthews_correlation: must be above -1 and at most 1, but got -1; a trial has -1..1",
        ),
    ],
)
def test_a_constraint_that_cannot_be_meant(written, problem):
    assert problems(STUDY + f"constraints: {written}\n") == [problem]


def test_a_tolerance_says_which_values_count_as_equal():
    spec = study(STUDY + "tolerance: {macro_f1: 5e-3, train_seconds: 20%}\n")
    assert {name: str(margin) for name, margin in spec.tolerance.items()} == {
        "macro_f1": "0.005",
        "train_seconds": "20%",
    }
    assert study().tolerance == {}
    assert study(STUDY + "tolerance:\n").tolerance == {}
    assert study(STUDY + "tolerance: none\n").tolerance == {**EXACT, **dict.fromkeys(study().objectives, Margin(0.0))}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (
            "[macro_f1]",
            "tolerance: must be none or a mapping like {macro_f1: 0.005, train_seconds: 10%}, but got ['macro_f1']",
        ),
        (
            "0.1",
            "tolerance: must be none or a mapping like {macro_f1: 0.005, train_seconds: 10%}, but got 0.1",
        ),
        ("{macro_f2: 0.1}", "tolerance.macro_f2: no objective 'macro_f2'; did you mean 'macro_f1'?"),
        (
            "{latency_ms: 10%}",
            "tolerance.latency_ms: is no objective of this study, which has macro_f1, trainable_parameters, "
            "train_seconds",
        ),
        (
            "{train_seconds: much}",
            "tolerance.train_seconds: must be a number or a percentage like 10%, but got 'much'",
        ),
        ("{macro_f1: 5}", "tolerance.macro_f1: must be at least 0 and below 1, but got 5"),
    ],
)
def test_a_tolerance_that_cannot_be_meant(written, problem):
    assert problems(STUDY + f"tolerance: {written}\n") == [problem]


def test_every_epoch_counts_unless_the_file_says_otherwise():
    assert study().every_epoch
    assert study(STUDY + "every_epoch:\n").every_epoch
    assert not study(STUDY + "every_epoch: false\n").every_epoch
    assert problems(STUDY + "every_epoch: 3\n") == ["every_epoch: must be true or false, but got 3"]
