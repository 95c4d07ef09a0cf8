from __future__ import annotations

import warnings
from dataclasses import replace

import optuna
import pytest

from peftsearch.core.config import SEARCHABLE_TRAINING, TrialConfig
from peftsearch.study.starting_points.baselines import Baseline
from peftsearch.study.suggest import misfit, sampled_params, suggest
from tests.helpers.studies import STUDY, TABLE, study

optuna.logging.set_verbosity(optuna.logging.ERROR)
METHODS = STUDY[: STUDY.index("baselines:")]
OUTSIDE = METHODS + "baselines: [{method: lora, rank: 64, learning_rate: 2e-5, batch_size: 4}]"


def search(spec, seed: int = 0) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=4)
    return optuna.create_study(directions=spec.directions, sampler=sampler)


def enqueue(spec, space: optuna.Study) -> None:
    """Trial `i` of `space` is then enqueued for `spec.baselines[i]`."""
    for baseline in spec.baselines:
        space.enqueue_trial(sampled_params(spec, baseline))


def drawn(spec, count: int) -> list[tuple[optuna.Trial, TrialConfig]]:
    found, space = [], search(spec)
    for i in range(count):
        trial = space.ask()
        found.append((trial, suggest(spec, trial)))
        space.tell(trial, [i % 3, 1.0, float(i)])
    return found


def test_every_config_is_complete_and_within_the_space():
    spec = study()
    for _, config in drawn(spec, 30):
        assert set(config.settings) == set(TABLE[config.method].hyperparameters)
        if config.method == "lora":
            assert config.settings["rank"] in (4, 8, 16)
            assert 1e-4 <= config.settings["learning_rate"] <= 1e-2
            assert config.training.batch_size in (8, 16)
        else:
            assert config.training == spec.training


def test_only_what_is_searched_of_the_drawn_method_is_suggested():
    names = {config.method: set(trial.params) for trial, config in drawn(study(), 12)}
    own = ("learning_rate", "rank", "targets", "batch_size")
    assert names == {"full": {"method", "full.learning_rate"}, "lora": {"method", *(f"lora.{name}" for name in own)}}


def test_one_method_is_still_written_on_the_trial():
    spec = study(STUDY.replace("  lora:", "  # lora:"))
    assert {trial.params["method"] for trial, _ in drawn(spec, 2)} == {"full"}


def test_a_backbone_is_suggested_where_there_are_several():
    commit = "b" * 40
    spec = study(STUDY.replace("[tiny]", f"[tiny, {{name: other, revision: {commit}}}]"))
    revisions = {config.backbone: config.revision for _, config in drawn(spec, 12)}
    assert revisions == {"tiny": None, "other": commit}
    assert all(trial.params["backbone"] == config.backbone for trial, config in drawn(spec, 3))


def test_a_backbone_s_tokenizer_reaches_its_trials():
    spec = study(STUDY.replace("[tiny]", "[tiny, {name: other, tokenizer: bert, tokenizer_revision: v1}]"))
    found = {(c.backbone, c.tokenizer, c.tokenizer_revision) for _, c in drawn(spec, 12)}
    assert found == {("tiny", None, None), ("other", "bert", "v1")}


def test_whole_numbers_stay_whole():
    spec = study(
        "name: x\ndata: {source: a.csv}\nbackbones: [tiny]\nmethods: {prefix: {virtual_tokens: {int_log: [4, 40]}}}"
    )
    for _, config in drawn(spec, 5):
        assert type(config.settings["virtual_tokens"]) is int


def test_the_same_seed_draws_the_same():
    assert [c for _, c in drawn(study(), 10)] == [c for _, c in drawn(study(), 10)]


def test_baselines_come_first_exactly_as_written_and_the_sampler_sees_what_it_could_draw():
    spec = study(OUTSIDE)
    space = search(spec)
    enqueue(spec, space)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna would warn of enqueued values outside the space
        first, second = space.ask(), space.ask()
        lora, full = map(suggest, [spec] * 2, [first, second], spec.baselines)
    assert (lora.method, lora.settings["rank"], lora.settings["learning_rate"]) == ("lora", 64, 2e-5)
    assert lora.training.batch_size == 4
    assert first.params == {"method": "lora", "lora.targets": "query_value"}
    assert [baseline.written for baseline in spec.baselines] == [0, None]
    assert full.method == "full"
    assert second.params == {"method": "full", "full.learning_rate": pytest.approx(1e-4)}


def test_every_method_is_among_the_first_trials():
    spec = study()
    space = search(spec)
    enqueue(spec, space)
    assert {suggest(spec, space.ask(), baseline).method for baseline in spec.baselines} == set(spec.methods)


def test_tpe_goes_on_after_baselines_outside_the_space():
    spec = study(OUTSIDE)
    space = search(spec)
    enqueue(spec, space)
    for i in range(15):
        trial = space.ask()
        suggest(spec, trial, spec.baselines[i] if i < len(spec.baselines) else None)
        space.tell(trial, [0.1 * i, 1.0, float(i)])
    assert len(space.trials) == 15


def test_a_config_enqueued_as_it_is_comes_back():
    spec = study()
    for _, config in drawn(spec, 5):
        training = {name: getattr(config.training, name) for name in SEARCHABLE_TRAINING}
        again = Baseline(config.method, config.backbone, {**training, **config.settings})
        space = search(spec, seed=1)
        space.enqueue_trial(sampled_params(spec, again))
        found = suggest(spec, space.ask(), again)
        assert (found, found.key()) == (config, config.key())


def test_the_order_of_options_in_the_file_means_nothing(tmp_path):
    storage = f"sqlite:///{tmp_path / 'x.db'}"
    turned = study(STUDY.replace("[16, 4, 8]", "[4, 8, 16]"))
    turned = replace(turned, methods=dict(reversed(turned.methods.items())))
    for spec in (study(), turned):
        space = optuna.create_study(study_name="x", storage=storage, directions=spec.directions, load_if_exists=True)
        for _ in range(3):
            suggest(spec, space.ask({}))
    assert len(space.trials) == 6


def test_optuna_still_accepts_numbers_but_no_options_outside_the_space():
    """The reason why `sampled_params` leaves both out (Optuna 5.0). Fails once Optuna treats them otherwise."""
    space = optuna.create_study()
    space.enqueue_trial({"x": 5.0, "y": 64})
    trial = space.ask()
    with pytest.warns(UserWarning, match="is out of range for distribution"):
        assert trial.suggest_float("x", 0.0, 1.0) == 5.0
    with pytest.raises(ValueError, match="not in"):
        trial.suggest_categorical("y", [4, 8])


def test_pooling_is_not_searched_under_a_head_that_pools_itself():
    spec = study(STUDY.replace("full: {", "full: {head: [native, linear], pooling: [cls, mean, max], "))
    found = [(trial.params, config) for trial, config in drawn(spec, 40) if config.method == "full"]
    native = [(params, config) for params, config in found if config.settings["head"] == "native"]
    assert 0 < len(native) < len(found)
    assert all("full.pooling" not in params and config.settings["pooling"] == "mean" for params, config in native)
    assert all("full.pooling" in params for params, config in found if config.settings["head"] == "linear")


SEVERAL = STUDY.replace("[tiny]", "[big, {name: small, max_length: 64, methods: [full]}]")


def test_a_backbone_has_its_own_length_and_methods():
    found = list(drawn(study(SEVERAL), 60))
    seen = {(config.method, config.backbone, config.max_length) for _, config in found}
    assert seen == {("full", "big", 128), ("full", "small", 64), ("lora", "big", 128)}
    assert all(("backbone" in trial.params) == (config.method == "full") for trial, config in found)


def test_a_method_that_tunes_some_of_several_backbones_has_a_choice_of_its_own():
    """One parameter of Optuna cannot have two sets of options."""
    spec = study(STUDY.replace("[tiny]", "[a, b, {name: c, methods: [full]}]"))
    seen = {(config.method, config.backbone) for _, config in drawn(spec, 80)}
    assert seen == {("full", "a"), ("full", "b"), ("full", "c"), ("lora", "a"), ("lora", "b")}
    lora = [trial for trial, config in drawn(spec, 40) if config.method == "lora"]
    assert all("lora.backbone" in trial.params and "backbone" not in trial.params for trial in lora)


def test_a_method_may_train_for_epochs_of_its_own():
    spec = study(STUDY.replace("full: {", "full: {epochs: [1, 5], ") + "  - {method: full, epochs: 2}\n")
    assert {config.training.epochs for _, config in drawn(spec, 30) if config.method == "full"} == {1, 5}
    assert {config.training.epochs for _, config in drawn(spec, 30) if config.method == "lora"} == {3}
    assert [baseline.settings.get("epochs") for baseline in spec.baselines] == [1, 2, None]


def test_a_default_point_is_on_a_backbone_that_its_method_tunes():
    spec = study(STUDY.replace("[tiny]", "[{name: a, methods: [full]}, b]"))
    assert [(baseline.method, baseline.backbone) for baseline in spec.baselines] == [("full", "a"), ("lora", "b")]


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"method": "adapter"}, "method: got 'adapter'; valid: full, lora"),
        ({"method": ["lora"]}, "method: got ['lora']; did you mean 'lora'?"),
        ({"lora.rank": 5}, "lora.rank: got 5; valid: 16, 4, 8"),
        ({"lora.rank": None}, "lora.rank: got None; valid: 16, 4, 8"),
        ({"lora.rank": "4"}, "lora.rank: got '4'; did you mean '4'?"),
        ({"lora.dropout": 0.2}, "lora.dropout: got 0.2; did you mean '0.1'?"),
        ({"lora.learning_rate": 1.0}, "lora.learning_rate: must be within 0.0001 … 0.01, but got 1.0"),
        ({"lora.learning_rate": float("nan")}, "lora.learning_rate: must be within 0.0001 … 0.01, but got nan"),
        ({"lora.learning_rate": "fast"}, "lora.learning_rate: must be within 0.0001 … 0.01, but got 'fast'"),
        ({"lora.learning_rate": True}, "lora.learning_rate: must be within 0.0001 … 0.01, but got True"),
        ({"lora.ranks": 4}, "the study has no parameter 'lora.ranks'; did you mean 'lora.rank'?"),
        ({"prefix.virtual_tokens": 4}, "the study has no parameter 'prefix.virtual_tokens'; valid: "),
    ],
)
def test_parameters_that_the_space_does_not_hold_are_told_with_the_reason(params, reason):
    told = misfit(study(), params)
    assert told is not None
    assert told.startswith(reason)


def test_what_a_sampler_draws_or_a_baseline_holds_fits():
    spec = study(OUTSIDE)
    assert all(misfit(spec, trial.params) is None for trial, _ in drawn(spec, 30))
    assert all(misfit(spec, sampled_params(spec, baseline)) is None for baseline in spec.baselines)
    assert misfit(spec, {}) is None


def test_an_enqueued_option_means_the_option_that_equals_it():
    spec = study()
    space = search(spec)
    space.enqueue_trial({"method": "lora", "lora.rank": 4.0, "lora.batch_size": 8.0})
    config = suggest(spec, space.ask())
    assert repr((config.settings["rank"], config.training.batch_size)) == "(4, 8)"
