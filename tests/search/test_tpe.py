from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from peftsearch.search.samplers import make_sampler, tpe


@pytest.fixture(autouse=True)
def no_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def study_of(sampler: optuna.samplers.BaseSampler, objectives: int = 2) -> Study:
    return optuna.create_study(directions=["maximize", "minimize", "minimize"][:objectives], sampler=sampler)


def ask(study: Study) -> Trial:
    """A trial of a conditional space with logarithmic, whole-number and categorical dimensions."""
    trial = study.ask()
    method = trial.suggest_categorical("method", ["full", "lora", "probe"])
    trial.suggest_float(f"{method}.learning_rate", 1e-4, 1.0, log=True)
    trial.suggest_int(f"{method}.rank", 1, 64, log=True)
    if trial.suggest_categorical(f"{method}.head", ["linear", "mlp"]) == "mlp":
        trial.suggest_int(f"{method}.width", 8, 512)
    return trial


def proposals(objectives: int, seed: int = 3, trials: int = 60) -> list[dict[str, Any]]:
    """Proposals beside trials that complete, are pruned, fail, and go on running."""
    study = study_of(tpe(seed, startup_trials=5), objectives)
    for number in range(trials):
        trial = ask(study)
        method, rate, rank = list(trial.params.values())[:3]
        if number % 5 == 4:
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 11 == 7:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 13 != 9:
            study.tell(trial, [rate * rank - rate**2, float(rank), rate + len(method)][:objectives])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_same_seed_proposes_the_same_configurations(objectives: int) -> None:
    found = proposals(objectives)
    assert found == proposals(objectives)
    assert found != proposals(objectives, seed=4)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_a_trial_has_its_own_methods_settings_and_no_others(objectives: int) -> None:
    for params in proposals(objectives):
        assert {name.partition(".")[0] for name in params} == {"method", params["method"]}
        assert (f"{params['method']}.width" in params) == (params[f"{params['method']}.head"] == "mlp")


def test_the_method_is_drawn_first_and_then_all_that_its_trials_have_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[set[str]] = []
    sample = TPESampler.sample_relative

    def watch(self: Any, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        drawn.append(set(search_space))
        return sample(self, study, trial, search_space)

    monkeypatch.setattr(TPESampler, "sample_relative", watch)
    found = proposals(objectives=3)
    common = ("learning_rate", "rank", "head")  # a width is conditional on the head
    assert drawn[-20:] == [{f"{params['method']}.{name}" for name in common} for params in found[-20:]]


BOTH = {"a.x": FloatDistribution(0, 1), "a.y": FloatDistribution(0, 1)}


def finished(params: dict[str, Any], values: list[float]) -> optuna.trial.FrozenTrial:
    space = {"method": CategoricalDistribution(["a"]), **BOTH}
    return optuna.trial.create_trial(params=params, distributions={name: space[name] for name in params}, values=values)


def mixed(sampler: optuna.samplers.BaseSampler) -> float:
    """Share of proposals with one low and one high setting, where both low and both high have been good."""
    study, rng = study_of(sampler), np.random.default_rng(0)
    for number in range(200):
        good = number % 10 == 0
        x, y = rng.normal(0.1 if number % 20 else 0.9, 0.03, 2).clip(0, 1) if good else rng.uniform(0, 1, 2)
        study.add_trial(finished({"method": "a", "a.x": x, "a.y": y}, [1.0 if good else 0.0, 0.0 if good else 1.0]))
    found = []
    for _ in range(100):
        trial = study.ask({"method": CategoricalDistribution(["a"]), **BOTH})
        found.append(abs(trial.params["a.x"] - trial.params["a.y"]) > 0.5)
        study.tell(trial, state=TrialState.FAIL)
    return float(np.mean(found))


def test_settings_that_belong_together_are_drawn_together() -> None:
    assert mixed(TPESampler(n_startup_trials=5, multivariate=False, seed=0)) > 0.2
    assert mixed(tpe(0, startup_trials=5)) < 0.1


def share_near(place: float, running: int) -> float:
    """Share of proposals near `place`, beside so many trials that run there; 0.225 and 0.775 have been equally good."""
    study = study_of(tpe(0, startup_trials=5), objectives=1)
    space = {"method": CategoricalDistribution(["a"]), "a.x": BOTH["a.x"]}
    for x in (np.arange(20) + 0.5) / 20:
        study.add_trial(finished({"method": "a", "a.x": x}, [1.0 if x in (4.5 / 20, 15.5 / 20) else 0.0]))
    for _ in range(running):
        study.enqueue_trial({"method": "a", "a.x": place})
        study.ask(space)
    found = []
    for _ in range(60):
        trial = study.ask(space)
        found.append(abs(trial.params["a.x"] - place) < 0.2)
        study.tell(trial, state=TrialState.FAIL)
    return float(np.mean(found))


@pytest.mark.parametrize("place", [0.225, 0.775])
def test_trials_that_run_repel_new_ones(place: float) -> None:
    assert share_near(place, running=0) > 0.3
    assert share_near(place, running=2) < 0.1


def test_it_learns_which_settings_are_good() -> None:
    study = study_of(tpe(0, startup_trials=8), objectives=1)
    for _ in range(80):
        trial = ask(study)
        method, rate, rank = list(trial.params.values())[:3]
        study.tell(trial, (method == "lora") - abs(np.log10(rate) + 2) - abs(np.log2(rank) - 4) / 4)
    late = [trial.params for trial in study.trials[50:]]
    lora = [params for params in late if params["method"] == "lora"]
    assert len(lora) > 0.6 * len(late)
    assert np.median([abs(np.log10(params["lora.learning_rate"]) + 2) for params in lora]) < 0.5
    assert np.median([abs(np.log2(params["lora.rank"]) - 4) for params in lora]) < 1.2


def test_an_enqueued_method_keeps_its_settings_together() -> None:
    study = study_of(make_sampler("tpe", 0, 3, worker=0, trials=0))
    for _ in range(12):
        trial = ask(study)
        study.tell(trial, [1.0, 1.0])
    study.enqueue_trial({"method": "probe"})
    trial = ask(study)
    assert trial.params["method"] == "probe"
    assert trial.relative_params.keys() >= {"method", "probe.learning_rate", "probe.rank"}


def test_a_study_of_one_method_and_a_dimension_of_one_value() -> None:
    study = study_of(tpe(0, startup_trials=3))
    for _ in range(20):
        trial = study.ask({"method": CategoricalDistribution(["a"]), "a.n": IntDistribution(3, 3), **BOTH})
        study.tell(trial, [trial.params["a.x"], trial.params["a.y"]])
    assert {(trial.params["method"], trial.params["a.n"]) for trial in study.trials} == {("a", 3)}
    assert len({trial.params["a.x"] for trial in study.trials}) == 20
