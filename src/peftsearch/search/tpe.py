"""TPE over a space in which each method has settings of its own.

The module imports Optuna, so it is imported where a sampler is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.samplers import TPESampler
from optuna.trial import TrialState

from peftsearch.study.suggest import METHOD

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial


class MethodFirstTPE(TPESampler):
    """Draws the method first and then the method's settings together, since a learning rate belongs to its rank.

    Optuna's `group=True` draws the settings of all methods for every trial; this sampler draws those of one method.
    A setting that some trials of the method did not have is conditional, and is drawn by itself when it is asked for.
    """

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The method, and for each method the dimensions that all of its trials so far have had."""
        trials_of: dict[str, list[FrozenTrial]] = {}
        for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
            trials_of.setdefault(other.params.get(METHOD, ""), []).append(other)
        found: dict[str, BaseDistribution] = {}
        for trials in trials_of.values():
            common = set(trials[-1].distributions).intersection(*(other.params for other in trials))
            found |= {name: dimension for name, dimension in trials[-1].distributions.items() if name in common}
        return found

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The method and its settings. A method that the trial was enqueued with is kept."""
        if METHOD not in search_space:
            return {}
        method = trial.params.get(METHOD) or self.sample_independent(study, trial, METHOD, search_space[METHOD])
        own = {n: d for n, d in search_space.items() if n.startswith(f"{method}.") and not d.single()}
        return {METHOD: method, **super().sample_relative(study, trial, own)}
