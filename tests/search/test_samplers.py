from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.core.strategies import SAMPLERS
from peftsearch.search.samplers import make_sampler


def draws(name: str, worker: int = 0, trials: int = 0, **settings: Any) -> list[float]:
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=make_sampler(name, 7, 2, worker=worker, trials=trials)
    )
    found = []
    for number in range(8):
        trial = study.ask()
        method = trial.suggest_categorical("method", ["a", "b"])
        found.append(trial.suggest_float(f"{method}.x", 0, 1))
        if number % 3 == 2:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [found[-1], 1.0])
    return found


@pytest.mark.parametrize("name", list(SAMPLERS))
def test_every_sampler_searches_a_conditional_space_in_silence_and_repeatably(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert draws(name) == draws(name)


def test_workers_and_later_runs_draw_something_else() -> None:
    first = [draws("random", worker=w, trials=n)[0] for w, n in [(0, 0), (1, 0), (0, 6)]]
    assert len(set(first)) == 3


def conditional(sampler: optuna.samplers.BaseSampler) -> list[dict[str, Any]]:
    """The settings of sixty trials over three methods, each with a dimension of its own."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(60):
        trial = study.ask()
        method = trial.suggest_categorical("method", ["a", "b", "c"])
        x = trial.suggest_float(f"{method}.x", 0, 1)
        study.tell(trial, [x + (method == "a"), 1.0 - x])
    return [trial.params for trial in study.trials]


def test_optunas_nsga2_is_random_search_over_conditional_dimensions() -> None:
    """This is why no sampler is named `nsga2`; when it fails, Optuna's own may be worth an entry in the table."""
    genetic = conditional(optuna.samplers.NSGAIISampler(population_size=12, seed=3))
    assert genetic == conditional(optuna.samplers.RandomSampler(seed=3))
