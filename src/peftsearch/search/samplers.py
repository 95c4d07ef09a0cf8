"""Ways to propose the next configuration. A sampler is one line of the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

NSGA_POPULATION = 12
"""A study has some tens of trials: with Optuna's population of 50 the genetic search would never leave random."""


def tpe(seed: int, startup_trials: int) -> BaseSampler:
    """The method first, then its settings together; `benchmarks/proposals.py` says by how much that is better."""
    from peftsearch.search.tpe import MethodsTPE

    return MethodsTPE(n_startup_trials=startup_trials, multivariate=False, seed=seed)


def random(seed: int, startup_trials: int) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


def nsga2(seed: int, startup_trials: int) -> BaseSampler:
    from peftsearch.search.evolution import ConditionalNSGAII

    return ConditionalNSGAII(population_size=NSGA_POPULATION, seed=seed)


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {"tpe": tpe, "random": random, "nsga2": nsga2}
"""A sampler's name in a study file → seed, start-up trials → sampler."""


def make_sampler(name: str, seed: int, startup_trials: int, *, worker: int, trials: int) -> BaseSampler:
    """The sampler of one worker.

    Its seed depends on the worker and on how many trials there are: a second run of the same command, or a worker
    that takes a dead one's place, would otherwise propose what has been tried already.
    """
    import numpy as np

    mixed = int(np.random.SeedSequence([seed, worker, trials]).generate_state(1)[0])
    return SAMPLERS[name](mixed, startup_trials)
