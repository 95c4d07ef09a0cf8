"""Optuna's TPE over a space of methods: a method's settings proposed together, and what proposals share computed once.

The module imports Optuna, so it is imported where a sampler is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_complete_trials, _split_pruned_trials, default_gamma_multiobjective
from optuna.trial import TrialState

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

Divided = tuple[list["FrozenTrial"], list["FrozenTrial"]]


class DividedOnce(TPESampler):
    """Independent TPE over several objectives, without constraints, with the same proposals as Optuna's.

    Optuna 5.0 divides the trials into good and other ones anew for every dimension that it samples, though none has
    ended in between.
    """

    _divided: tuple[object, Divided] | None = None

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        if len(study.directions) == 1:
            return super()._sample(study, trial, search_space)
        good, others = self._divide(study, trial)
        of_good = self._build_parzen_estimator(study, search_space, good, handle_below=True)
        of_others = self._build_parzen_estimator(study, search_space, others, handle_below=False)
        candidates = of_good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(candidates, self._compute_acquisition_func(candidates, of_good, of_others))
        return {name: dimension.to_external_repr(best[name]) for name, dimension in search_space.items()}

    def _divide(self, study: Study, trial: FrozenTrial) -> Divided:
        """As Optuna does. A study reads its trials once for each trial that it asks for: into another list."""
        known = study._get_trials(deepcopy=False, use_cache=True)
        if self._divided is None or self._divided[0] is not known:
            self._divided = known, _divide(study, [other for other in known if other.number != trial.number])
        return self._divided[1]

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        """Of the trials that have all of these dimensions, the values."""
        having = [trial.params for trial in trials if search_space.keys() <= trial.params.keys()]
        return {
            name: np.asarray([dimension.to_internal_repr(params[name]) for params in having])
            for name, dimension in search_space.items()
        }


class MethodsTPE(DividedOnce):
    """Draws the method first and then its settings, `METHOD.DIMENSION`, together: a learning rate belongs to its rank.

    Optuna's `group=True` proposes the settings of all methods for every trial; here only the drawn one's are.
    """

    _drawn: tuple[int, str, dict[str, Any]] = (-1, "", {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        method, dot, _ = param_name.partition(".")
        if dot and self._drawn[:2] != (trial.number, method):
            self._drawn = trial.number, method, self._settings(study, trial, method)
        if param_name in self._drawn[2]:
            return self._drawn[2][param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _settings(self, study: Study, trial: FrozenTrial, method: str) -> dict[str, Any]:
        """The dimensions that all trials of the method have had; none while Optuna draws at random."""
        ended = study._get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED), use_cache=True)
        of_method = [other.distributions for other in ended if other.params.get("method") == method]
        if len(ended) < self._n_startup_trials or not of_method:
            return {}
        shared = set.intersection(*(set(other) for other in of_method))  # a study's dimensions never change
        space = {n: dimension for n, dimension in of_method[-1].items() if n in shared and n.startswith(f"{method}.")}
        return self._sample(study, trial, space) if space else {}


def _divide(study: Study, known: Sequence[FrozenTrial]) -> Divided:
    """Trials that still run are among the others, so that workers beside each other propose different ones."""
    of = {
        state: [trial for trial in known if trial.state is state]
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    }
    complete, pruned, running = of.values()
    room = default_gamma_multiobjective(len(complete) + len(pruned))
    good, others = _split_complete_trials(complete, study, room)
    more, rest = _split_pruned_trials(pruned, study, max(0, room - len(good)))
    return sorted(good + more, key=_number), sorted(others + rest + running, key=_number)


def _number(trial: FrozenTrial) -> int:
    return trial.number
