"""Samplers that `benchmarks/proposals.py` compares; those of `core.strategies.SAMPLERS` are among them."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import optuna

from peftsearch.search.samplers import ehvi, random, tpe

METHODS = 8
"""A replayed study has so many methods."""

Make = Callable[[int, int], Any]
"""A function of a seed and a number of start-up trials to a sampler."""


def random_quota(seed: int, startup_trials: int) -> Any:
    """Take the methods in turn and draw everything else at random."""
    return Quota(optuna.samplers.RandomSampler(seed=seed))


def tpe_quota(seed: int, startup_trials: int) -> Any:
    """Take the methods in turn and draw their settings by TPE."""
    return Quota(tpe(seed, startup_trials))


def tpe_from(random_trials: int) -> Make:
    """TPE that begins after the default configurations and this many random trials."""
    return lambda seed, startup_trials: tpe(seed, METHODS + random_trials)


def tpe_grouped(seed: int, startup_trials: int) -> Any:
    return optuna.samplers.TPESampler(n_startup_trials=startup_trials, multivariate=True, group=True, seed=seed)


def gaussian_process(seed: int, startup_trials: int) -> Any:
    """Models only the dimensions that all trials share; the conditional ones are drawn at random."""
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup_trials)


class Quota(optuna.samplers.BaseSampler):
    """Takes the methods in turn and leaves everything else to another sampler."""

    def __init__(self, base: Any) -> None:
        self.base = base

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return dict(self.base.infer_relative_search_space(study, trial))

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        if "method" not in search_space:
            return dict(self.base.sample_relative(study, trial, search_space))
        given = copy.copy(trial)
        given.params = {**trial.params, "method": self._turn(trial, search_space["method"])}
        return {**self.base.sample_relative(study, given, search_space), "method": given.params["method"]}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        if param_name == "method":
            return self._turn(trial, param_distribution)
        return self.base.sample_independent(study, trial, param_name, param_distribution)

    @staticmethod
    def _turn(trial: Any, methods: Any) -> Any:
        return methods.choices[trial.number % len(methods.choices)]


class Begun(optuna.samplers.TPESampler):
    """TPE that draws a dimension at random, or near its first value, until `least` trials have had it.

    The first trial of a method is its default configuration, so that to draw near its values is a prior on the region
    that is known to be good.
    """

    def __init__(self, least: int, near: float | None, *, seed: int, n_startup_trials: int) -> None:
        super().__init__(multivariate=False, seed=seed, n_startup_trials=n_startup_trials)
        self.least, self.near = least, near
        self.random = optuna.samplers.RandomSampler(seed=seed)

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        ended = (t for t in study.get_trials(deepcopy=False) if t.state.is_finished())
        had = [t.params[param_name] for t in ended if param_name in t.params]
        if len(had) >= self.least:
            return super().sample_independent(study, trial, param_name, param_distribution)
        drawn = self.random.sample_independent(study, trial, param_name, param_distribution)
        if self.near is None or not had or not isinstance(param_distribution, optuna.distributions.FloatDistribution):
            return drawn
        low, high = param_distribution.low, param_distribution.high
        if param_distribution.log:
            return float(np.clip(had[0] * (drawn / math.sqrt(low * high)) ** self.near, low, high))
        return float(np.clip(had[0] + (drawn - (low + high) / 2) * self.near, low, high))


def begun(least: int, near: float | None = None) -> Make:
    return lambda seed, startup_trials: Begun(least, near, seed=seed, n_startup_trials=startup_trials)


def uncounted(seed: int, startup_trials: int) -> Any:
    """Expected hypervolume improvement that forecasts parameters instead of counting them."""
    from peftsearch.search.ehvi.sampler import HypervolumeSampler

    class Uncounted(HypervolumeSampler):
        count_parameters = property(lambda self: None, lambda self, count: None)  # type: ignore[assignment]

    return Uncounted(seed=seed, startup_trials=startup_trials)


def tpe_alone(seed: int, startup_trials: int) -> Any:
    """Optuna's TPE, which draws each dimension by itself."""
    return optuna.samplers.TPESampler(n_startup_trials=startup_trials, multivariate=False, seed=seed)


COMPARED: dict[str, Make] = {
    "tpe": tpe,
    "ehvi": ehvi,
    "ehvi, parameters not counted": uncounted,
    "random": random,
    "tpe, each dimension by itself": tpe_alone,
    "the same, 3 random trials a method": begun(3),
    "the same, 3 trials a method near its default": begun(3, near=0.3),
    "tpe, no random trials": tpe_from(0),
    "tpe, 12 random trials": tpe_from(12),
    "tpe, grouped": tpe_grouped,
    "tpe, methods in turn": tpe_quota,
    "random, methods in turn": random_quota,
    "gaussian process": gaussian_process,
}
