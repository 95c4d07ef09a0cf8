from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from peftsearch.search import tpe
from peftsearch.search.tpe import DividedOnce, MethodsTPE


def proposals(sampler: type[TPESampler], objectives: int, trials: int = 60) -> list[dict[str, Any]]:
    """Of a conditional space, with trials that complete, are pruned, fail and go on running."""
    study = optuna.create_study(
        directions=["maximize", "minimize", "minimize"][:objectives],
        sampler=sampler(n_startup_trials=5, multivariate=False, seed=3),
    )
    for number in range(trials):
        trial = study.ask()
        method = trial.suggest_categorical("method", ["full", "lora", "probe"])
        rate = trial.suggest_float(f"{method}.learning_rate", 1e-4, 1.0, log=True)
        rank = trial.suggest_int(f"{method}.rank", 1, 9)
        if number % 5 == 4:
            study.tell(trial, state=TrialState.PRUNED)
        elif number % 11 == 7:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 13 != 9:
            study.tell(trial, [rate * rank - rate**2, float(rank), rate + len(method)][:objectives])
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_it_proposes_what_optunas_own_does(objectives: int) -> None:
    assert proposals(DividedOnce, objectives) == proposals(TPESampler, objectives)


def test_trials_are_divided_once_for_all_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    divide, calls = tpe._divide, []
    monkeypatch.setattr(tpe, "_divide", lambda *arguments: calls.append(1) or divide(*arguments))
    proposals(DividedOnce, objectives=3, trials=20)
    assert len(calls) <= 20 - 5


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("improving", [False, True])
def test_the_best_are_those_of_all_trials_though_few_are_ranked(
    monkeypatch: pytest.MonkeyPatch, objectives: int, improving: bool
) -> None:
    study = optuna.create_study(directions=["maximize", "minimize", "minimize"][:objectives])
    rng, space, ranked = np.random.default_rng(objectives), {"x": FloatDistribution(0, 1)}, []
    rank = tpe._fast_non_domination_rank
    monkeypatch.setattr(
        tpe, "_fast_non_domination_rank", lambda of, n_below: ranked.append(len(of)) or rank(of, n_below=n_below)
    )
    contenders = tpe.Contenders(study)
    for number in range(400):
        # Few levels: many are equal. Those that get better dominate whole fronts at once.
        values = rng.integers(0, 12, objectives) * np.array([1, -1, -1][:objectives])
        values = values + (number // 20 * np.array([1, -1, -1][:objectives]) if improving else 0)
        trial = optuna.trial.create_trial(
            params={"x": number / 400}, distributions=space, values=values.astype(float).tolist()
        )
        study.add_trial(trial)
        if number % 3:  # another worker's, seen together with the next
            continue
        complete = study.get_trials(deepcopy=False)
        room = min(len(complete), tpe.default_gamma_multiobjective(len(complete)))
        expected, _ = tpe._split_complete_trials(complete, study, room)
        assert {t.number for t in contenders.best(complete, room)} == {t.number for t in expected}
    assert sum(ranked) < 400 * 400 / 3 / 2 * (0.7 if improving else 0.5)


def mixed(sampler: type[TPESampler]) -> float:
    """Share of proposals with one low and one high setting, where both low and both high have been good."""
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=sampler(n_startup_trials=5, multivariate=False, seed=0)
    )
    space = {"a.x": FloatDistribution(0, 1), "a.y": FloatDistribution(0, 1)}
    rng = np.random.default_rng(0)
    for number in range(200):
        good = number % 10 == 0
        x, y = rng.normal(0.1 if number % 20 else 0.9, 0.03, 2).clip(0, 1) if good else rng.uniform(0, 1, 2)
        study.add_trial(
            optuna.trial.create_trial(
                params={"method": "a", "a.x": x, "a.y": y},
                distributions={"method": CategoricalDistribution(["a"]), **space},
                values=[0.0 if good else 1.0] * 2,
            )
        )
    found = []
    for _ in range(100):
        trial = study.ask()
        trial.suggest_categorical("method", ["a"])
        found.append(abs(trial.suggest_float("a.x", 0, 1) - trial.suggest_float("a.y", 0, 1)) > 0.5)
        study.tell(trial, state=TrialState.FAIL)
    return float(np.mean(found))


def test_settings_that_belong_together_are_proposed_together() -> None:
    assert mixed(DividedOnce) > 0.2
    assert mixed(MethodsTPE) < 0.1


def test_a_methods_settings_are_sampled_once_and_others_not(monkeypatch: pytest.MonkeyPatch) -> None:
    sampled: list[list[str]] = []
    sample = MethodsTPE._sample

    def watch(self: Any, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        sampled.append(sorted(search_space))
        return sample(self, study, trial, search_space)

    monkeypatch.setattr(MethodsTPE, "_sample", watch)
    found = proposals(MethodsTPE, objectives=3)
    later = [params["method"] for params in found[-20:]]
    expected = [names for method in later for names in (["method"], [f"{method}.learning_rate", f"{method}.rank"])]
    assert sampled[-40:] == expected


def test_a_dimension_that_not_all_trials_of_a_method_had_is_sampled_by_itself() -> None:
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=MethodsTPE(n_startup_trials=3, multivariate=False, seed=0)
    )
    for number in range(20):
        trial = study.ask()
        trial.suggest_categorical("method", ["a"])
        x = trial.suggest_float("a.x", 0, 1)
        extra = trial.suggest_int("a.extra", 1, 4) if number % 2 else 0
        study.tell(trial, [x + extra, 1.0])
    assert {"a.extra" in t.params for t in study.trials} == {True, False}
