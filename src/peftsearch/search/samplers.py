"""The samplers: functions that make an Optuna sampler. `core.strategies.SAMPLERS` names each of them in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from peftsearch.core.strategies import SAMPLERS, load_strategy
from peftsearch.search.ehvi.counting import Count

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


def tpe(seed: int, startup_trials: int) -> BaseSampler:
    """TPE that draws the method first and then the method's settings together.

    With `constant_liar`, running trials count as bad ones: workers beside each other propose different configurations.
    """
    from peftsearch.search.tpe import MethodFirstTPE

    return MethodFirstTPE(n_startup_trials=startup_trials, multivariate=True, constant_liar=True, seed=seed)


def ehvi(seed: int, startup_trials: int) -> BaseSampler:
    """Expected hypervolume improvement with known costs, in turns with TPE.

    The first trials are TPE's; workers beside each other reckon with what the others' running trials will come to.
    """
    from peftsearch.search.ehvi.sampler import HypervolumeSampler

    return HypervolumeSampler(seed=seed, startup_trials=startup_trials)


def random(seed: int, startup_trials: int) -> BaseSampler:
    """Random search: every value is drawn uniformly from its range, or from the logarithm of its range."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seed)


@runtime_checkable
class ReckonsCosts(Protocol):
    """A sampler that wants to know what a proposal would train."""

    count_parameters: Count | None


def make_sampler(
    name: str, seed: int, startup_trials: int, *, worker: int, trials: int, count: Count | None = None
) -> BaseSampler:
    """Make the sampler of one worker.

    The seed is mixed with the worker's index and the number of trials. Otherwise a second run of the same command, or
    a worker that replaces a dead one, would propose configurations that have been tried already.

    Args:
        name: a key of `core.strategies.SAMPLERS`.
        seed: the study's seed.
        startup_trials: how many trials end before the sampler uses its model.
        worker: the worker's index.
        trials: how many trials the study has.
        count: counts the parameters that a proposal would train, for a sampler that asks.
    """
    import numpy as np

    mixed = int(np.random.SeedSequence([seed, worker, trials]).generate_state(1)[0])
    sampler: BaseSampler = load_strategy(SAMPLERS, name)(mixed, startup_trials)
    if isinstance(sampler, ReckonsCosts):
        sampler.count_parameters = count
    return sampler
