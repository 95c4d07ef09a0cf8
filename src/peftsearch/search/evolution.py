"""NSGA-II over a conditional space. The module imports Optuna, so it is imported where a sampler is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from optuna.samplers import NSGAIISampler

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

MUTATION = 0.25
"""Share of a child's dimensions that are drawn anew."""


class ConditionalNSGAII(NSGAIISampler):
    """Children inherit each dimension from a parent that has it, and so the settings of a method from its own trials.

    Optuna 5.0 crosses only what all trials share. Of dimensions named `METHOD.DIMENSION` that is the method alone, and
    its mutation, of one in as many as are shared, then always draws that anew: the whole search is random.
    """

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        self.get_trial_generation(study, trial)  # marks the trial with it
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        population = self.get_parent_population(study, self.get_trial_generation(study, trial))
        values = [parent.params[param_name] for parent in population if param_name in parent.params]
        inside = [v for v in values if param_distribution._contains(param_distribution.to_internal_repr(v))]
        if not inside or self._rng.rng.random() < MUTATION:
            return super().sample_independent(study, trial, param_name, param_distribution)
        return inside[self._rng.rng.randint(len(inside))]
