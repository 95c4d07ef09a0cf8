from __future__ import annotations

import warnings
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.search.samplers import SAMPLERS, make_sampler
from peftsearch.study import sections


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


def test_the_table_has_what_a_study_file_may_name() -> None:
    assert set(SAMPLERS) == set(sections.SAMPLERS)


def conditional(sampler: optuna.samplers.BaseSampler) -> list[dict[str, Any]]:
    """Sixty trials of which one method's are better the larger its `x` is."""
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    for _ in range(60):
        trial = study.ask()
        method = trial.suggest_categorical("method", ["a", "b", "c"])
        x = trial.suggest_float(f"{method}.x", 0, 1)
        study.tell(trial, [x + (method == "a"), 1.0 - x])
    return [trial.params for trial in study.trials]


def test_nsga2_inherits_methods_and_their_settings() -> None:
    late = [params for seed in range(5) for params in conditional(SAMPLERS["nsga2"](seed, 0))[30:]]
    chosen = [params["a.x"] for params in late if "a.x" in params]
    assert len(chosen) > 0.45 * len(late)  # a third at random
    assert sum(chosen) / len(chosen) > 0.6


def test_optunas_own_nsga2_is_still_random_here() -> None:
    """When this fails, `evolution.ConditionalNSGAII` may not be needed any more."""
    own = conditional(optuna.samplers.NSGAIISampler(population_size=12, seed=3))
    assert own == conditional(optuna.samplers.RandomSampler(seed=3))
