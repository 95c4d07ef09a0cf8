"""What a study's trials were drawn from, as Optuna has kept it with each trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Choice, Dimension, Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study


def searched_space(study: Study) -> dict[str, Dimension]:
    """The dimension of every parameter that a trial was asked for, by Optuna's name of it.

    A study draws a parameter from one dimension for as long as it is the same search, so that of the newest trial that
    has the parameter is taken.
    """
    trials = study.get_trials(deepcopy=False)
    drawn = {name: found for trial in trials for name, found in trial.distributions.items()}
    return {name: _dimension(found) for name, found in sorted(drawn.items())}


def _dimension(found: BaseDistribution) -> Dimension:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(found, CategoricalDistribution):
        options: Any = found.choices
        return Choice(tuple(options))
    assert isinstance(found, FloatDistribution | IntDistribution)
    return Range(found.low, found.high, log=found.log, integer=isinstance(found, IntDistribution))
