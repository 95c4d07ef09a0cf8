"""Optuna's TPE with the same proposals, but what all dimensions of one trial have in common computed once.

Optuna 5.0 divides the finished trials into good and other ones anew for every dimension that it samples, though none
has ended in between. The module imports Optuna, so it is imported where a sampler is made.
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
    """Independent TPE over several objectives, without constraints."""

    _divided: tuple[object, Divided] | None = None

    def _sample(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> dict[str, Any]:
        if len(study.directions) == 1:
            return super()._sample(study, trial, search_space)
        good, others = self._divide(study)
        of_good = self._build_parzen_estimator(study, search_space, good, handle_below=True)
        of_others = self._build_parzen_estimator(study, search_space, others, handle_below=False)
        candidates = of_good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(candidates, self._compute_acquisition_func(candidates, of_good, of_others))
        return {name: dimension.to_external_repr(best[name]) for name, dimension in search_space.items()}

    def _divide(self, study: Study) -> Divided:
        """As Optuna does. A study reads its trials once for each trial that it asks for: into another list."""
        known = study._get_trials(deepcopy=False, use_cache=True)
        if self._divided is None or self._divided[0] is not known:
            self._divided = known, _divide(study, known)
        return self._divided[1]

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        """One dimension at a time, of finished trials: where it was sampled, its values."""
        return {
            name: np.asarray([dimension.to_internal_repr(t.params[name]) for t in trials if name in t.params])
            for name, dimension in search_space.items()
        }


def _divide(study: Study, known: Sequence[FrozenTrial]) -> Divided:
    complete = [trial for trial in known if trial.state is TrialState.COMPLETE]
    pruned = [trial for trial in known if trial.state is TrialState.PRUNED]
    room = default_gamma_multiobjective(len(complete) + len(pruned))
    good, others = _split_complete_trials(complete, study, room)
    more, rest = _split_pruned_trials(pruned, study, max(0, room - len(good)))
    return sorted(good + more, key=_number), sorted(others + rest, key=_number)


def _number(trial: FrozenTrial) -> int:
    return trial.number
