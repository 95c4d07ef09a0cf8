from __future__ import annotations

import math
import warnings
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from peftsearch.core.constraints import Check, Constraint
from peftsearch.core.strategies import SAMPLERS
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.trial_attributes import write_checks


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


SIZES = {"full": 1_000_000, "lora": 1_000, "probe": 100}


def feasible_share(name: str, *, told: bool) -> float:
    """Share of late proposals that keep a bound on the size, with which quality grows."""
    late = []
    for seed in (0, 4):
        sampler = make_sampler(name, seed, 8, worker=0, trials=0)
        study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
        for number in range(60):
            trial = study.ask()
            method = trial.suggest_categorical("method", list(SIZES))
            rate = trial.suggest_float(f"{method}.learning_rate", 1e-5, 1e-1, log=True)
            size = float(SIZES[method] * trial.suggest_int(f"{method}.rank", 1, 256, log=True))
            check = Check(Constraint("trainable_parameters", 20_000), size)
            if told:
                write_checks(trial, [check])
            study.tell(trial, [math.log(size) - abs(math.log10(rate) + 3), size])
            late += [not check.broken] if number >= 20 else []
    return sum(late) / len(late)


def test_a_constraint_makes_the_sampler_propose_what_keeps_it() -> None:
    told, untold = (feasible_share("tpe", told=told) for told in (True, False))
    assert told > 0.7
    assert told > feasible_share("random", told=True) + 0.1 > untold + 0.3
