from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.samplers import TPESampler
from optuna.trial import TrialState

from peftsearch.search import tpe
from peftsearch.search.tpe import DividedOnce


def proposals(sampler: type[TPESampler], objectives: int, trials: int = 60) -> list[dict[str, Any]]:
    """Of a conditional space, with trials that complete, are pruned and fail."""
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
        else:
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
