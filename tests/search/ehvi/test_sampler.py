from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import Trial, TrialState

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.constraints import Check, Constraint
from peftsearch.core.front.pareto import hypervolume, losses_of
from peftsearch.core.measurement import EpochReport
from peftsearch.search.ehvi.sampler import LEAST, HypervolumeSampler
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.database import open_study
from peftsearch.storage.study_attributes import write_constraints
from peftsearch.storage.trial_attributes import write_checks, write_config, write_curve

OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")

METHODS = {"full": (1e6, 8.0, 0.9), "lora": (1e3, 5.0, 0.85), "probe": (1e2, 1.0, 0.7)}
"""Method → parameters, seconds and the best F1, which the method reaches at eight tenths of its learning rates."""


def study_of(sampler: optuna.samplers.BaseSampler, objectives: Sequence[str] = OBJECTIVES) -> Study:
    study = open_study(optuna.storages.InMemoryStorage(), "s", objectives)
    study.sampler = sampler
    return study


def sampler(seed: int = 0, name: str = "ehvi") -> optuna.samplers.BaseSampler:
    return make_sampler(name, seed, 8, worker=0, trials=0, count=lambda params: int(size(params)))


def ask(study: Study, methods: Sequence[str] = tuple(METHODS), backbones: Sequence[str] = ("tiny",)) -> Trial:
    trial = study.ask()
    method = trial.suggest_categorical("method", sorted(methods))
    backbone = trial.suggest_categorical("backbone", backbones) if len(backbones) > 1 else backbones[0]
    settings: dict[str, Any] = {"learning_rate": trial.suggest_float(f"{method}.learning_rate", 1e-4, 1e-2, log=True)}
    if method == "lora":
        settings["rank"] = trial.suggest_categorical("lora.rank", [4, 8, 16])
        if trial.suggest_categorical("lora.head", ["linear", "mlp"]) == "mlp":
            trial.suggest_int("lora.width", 8, 64)
    write_config(trial, TrialConfig(backbone, method, settings, TrainingConfig(epochs=3)))
    return trial


def size(params: Any) -> float:
    return METHODS[params["method"]][0] * params.get("lora.rank", 1)


def values(params: Any) -> dict[str, float]:
    method = params["method"]
    best = METHODS[method][2] - (0.1 if params.get("backbone") == "worse" else 0.0)
    place = (math.log10(params[f"{method}.learning_rate"]) + 4) / 2
    found = {"macro_f1": best - 0.8 * (place - 0.8) ** 2 + 0.005 * math.log2(params.get("lora.rank", 1))}
    return found | {"trainable_parameters": size(params), "train_seconds": METHODS[method][1], "latency_ms": 1 + place}


def train(study: Study, trial: Trial, epochs: int = 3) -> None:
    """Train a trial for some of its three epochs; it is pruned if these are not all."""
    ends = values(trial.params)
    shares = (0.6, 0.8, 1.0)[:epochs]
    count, seconds = int(ends["trainable_parameters"]), ends["train_seconds"] / 3
    reports = [
        EpochReport(i + 1, 1, 1, {"macro_f1": s * ends["macro_f1"]}, seconds, 1, count) for i, s in enumerate(shares)
    ]
    write_curve(trial, reports)
    if epochs < 3:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, [ends[name] for name in study.metric_names or ()])


def played(study: Study, trials: int, **space: Any) -> list[dict[str, Any]]:
    """The parameters of so many trials, of which some are pruned, fail, or go on running."""
    for name in METHODS if not space.get("methods") else space["methods"]:
        study.enqueue_trial({"method": name})
    for number in range(trials):
        trial = ask(study, **space)
        if number % 11 == 9:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 13 != 12:
            train(study, trial, epochs=2 if number % 5 == 4 else 3)
    return [trial.params for trial in study.trials]


def test_the_same_seed_proposes_the_same_and_another_one_something_else() -> None:
    found = [played(study_of(sampler(seed)), 20) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def volume(name: str, seed: int, trials: int) -> float:
    """The hypervolume of some trials over F1 and the logarithms of the costs, as a share of what can be had."""
    study = study_of(sampler(seed, name))
    for method in METHODS:
        study.enqueue_trial({"method": method, f"{method}.learning_rate": 1e-3})
    for _ in range(trials):
        train(study, ask(study))
    scaled = [[t.values[0], math.log(t.values[1]), math.log(t.values[2])] for t in study.trials]
    return hypervolume(losses_of(scaled, OBJECTIVES), np.array([0.0, math.log(1e7), math.log(10)]))


def test_it_finds_more_of_the_front_than_tpe_and_random_search() -> None:
    found = {name: np.mean([volume(name, seed, 20) for seed in range(3)]) for name in ("ehvi", "tpe", "random")}
    assert found["ehvi"] > 0.02 + max(found["tpe"], found["random"]), found


def test_tpe_proposes_until_there_is_something_to_learn_from_and_every_second_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine: list[int] = []
    propose = HypervolumeSampler._propose

    def watch(self: Any, study: Any, trial: Any, space: Any) -> Any:
        found = propose(self, study, trial, space)
        mine.extend([trial.number] if found else [])
        return found

    monkeypatch.setattr(HypervolumeSampler, "_propose", watch)
    study = study_of(sampler())
    for _ in range(16):
        train(study, ask(study))
    assert mine == [number for number in range(16) if number >= LEAST and number % 2 == 0]


def test_workers_beside_each_other_propose_different_things() -> None:
    study = study_of(sampler())
    for _ in range(14):
        train(study, ask(study))
    beside = [ask(study).params for _ in range(6)]
    rates = [(each["method"], each[f"{each['method']}.learning_rate"]) for each in beside]
    assert len(set(rates)) == 6
    spread = [abs(math.log10(a / b)) for i, (m, a) in enumerate(rates) for n, b in rates[:i] if m == n]
    assert min(spread, default=1) > 0.01


def feasible_share(told: bool) -> float:
    """Share of late proposals that keep a bound on the parameters, which only probe and lora of rank 4 and 8 do."""
    bound, late = Constraint("trainable_parameters", 10_000), []
    study = study_of(sampler())
    write_constraints(study, [bound] if told else [])
    for number in range(30):
        trial = ask(study)
        check = Check(bound, size(trial.params))
        if told:
            write_checks(trial, [check])
        late += [not check.broken] if number >= 10 and number % 2 == 0 else []
        train(study, trial)
    return sum(late) / len(late)


def test_a_constraint_on_what_is_counted_is_kept_by_every_proposal_of_the_model() -> None:
    assert feasible_share(told=True) == 1.0 > feasible_share(told=False)


@pytest.mark.parametrize("objectives", [("macro_f1",), ("latency_ms",), ("macro_f1", "latency_ms")])
def test_a_study_without_costs_that_are_known(objectives: Sequence[str]) -> None:
    """The best latency is at the least learning rate; every method can have it."""
    study = study_of(sampler(), objectives)
    played(study, 26)
    best = [trial.values[0] for trial in study.get_trials(states=(TrialState.COMPLETE,))]
    assert (max(best) > 0.88) if objectives[0] == "macro_f1" else (min(best) < 1.05)


def test_the_better_of_two_backbones_is_proposed() -> None:
    study = study_of(sampler())
    found = played(study, 30, backbones=("better", "worse"))
    mine = [params["backbone"] for number, params in enumerate(found) if number >= 12 and number % 2 == 0]
    assert mine.count("better") > 0.7 * len(mine)


def test_a_single_method_and_categorical_settings_only() -> None:
    study = study_of(sampler(), ("macro_f1", "trainable_parameters"))
    seen = []
    for _ in range(18):
        trial = study.ask()
        params = {"method": trial.suggest_categorical("method", ["lora"])}
        params["lora.rank"] = trial.suggest_categorical("lora.rank", list(range(1, 31)))
        params["lora.head"] = trial.suggest_categorical("lora.head", ["linear", "mlp"])
        write_config(trial, TrialConfig("tiny", "lora", {"rank": params["lora.rank"]}, TrainingConfig(epochs=3)))
        seen.append((params["lora.rank"], params["lora.head"]))
        study.tell(trial, [params["lora.rank"] / 40 + (params["lora.head"] == "mlp") / 5, size(params)])
    mine = [one for number, one in enumerate(seen) if number >= LEAST and number % 2 == 0]
    assert len(set(mine)) == len(mine), "it never proposes what a trial has"
    assert sum(head == "mlp" for _, head in mine) > len(mine) / 2


def test_a_study_is_continued_by_another_sampler_and_back() -> None:
    study = study_of(sampler(name="random"))
    for name in ("random", "ehvi", "tpe", "ehvi"):
        study.sampler = sampler(name=name)
        for _ in range(6):
            train(study, ask(study))
    assert len(study.trials) == 24


def test_a_cost_is_counted_before_it_is_proposed_whatever_the_trials_say() -> None:
    study = study_of(sampler())
    for _ in range(14):
        train(study, ask(study))
    assert isinstance(study.sampler, HypervolumeSampler)
    study.sampler.count_parameters = lambda params: 100 if params["method"] == "probe" else 10**9
    proposed = [ask(study).params["method"] for _ in range(4)]
    assert proposed[::2] == ["probe"] * 2, "a trial of any other method would be the largest of all"


def test_an_enqueued_method_is_kept_and_its_settings_are_the_models() -> None:
    study = study_of(sampler())
    for _ in range(14):
        train(study, ask(study))
    study.enqueue_trial({"method": "lora"})
    trial = ask(study)
    assert trial.number % 2 == 0
    assert trial.params["method"] == "lora"
    assert abs(math.log10(trial.params["lora.learning_rate"]) + 4 - 2 * 0.8) < 0.6
