"""Proposes the configuration that promises the largest hypervolume, in turns with TPE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from peftsearch.search.ehvi.counting import Count
from peftsearch.search.ehvi.encoding import Encoding
from peftsearch.search.ehvi.outlook import Outlook
from peftsearch.search.tpe import MethodFirstTPE
from peftsearch.storage.database import objective_names
from peftsearch.storage.records import records
from peftsearch.storage.study_attributes import read_constraints, read_every_epoch
from peftsearch.study.suggest import METHOD

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

LEAST = 8
"""Trials with an epoch that the model needs; until then TPE proposes."""

MOST = 300
"""The model is fitted to so many trials at most, the newest ones: its time grows with the cube of their number."""

EVERY = 2
"""Every second proposal is the model's."""


class HypervolumeSampler(MethodFirstTPE):
    """Expected hypervolume improvement with known costs: parameters are counted, everything else is forecast.

    Attributes:
        count_parameters: counts what a proposal would train; None if it cannot be counted, and is forecast then.
    """

    def __init__(self, *, seed: int, startup_trials: int) -> None:
        super().__init__(n_startup_trials=startup_trials, multivariate=True, constant_liar=True, seed=seed)
        self.count_parameters: Count | None = None
        self._random = np.random.default_rng(seed)

    def reseed_rng(self) -> None:
        super().reseed_rng()
        self._random = np.random.default_rng()

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The method and its settings. A method that the trial has already is kept: it was enqueued, or is the only
        one."""
        if METHOD in search_space and trial.number % EVERY == 0:
            proposed = self._propose(study, trial, search_space)
            if proposed is not None:
                return proposed
        return super().sample_relative(study, trial, search_space)

    def _propose(
        self, study: Study, trial: FrozenTrial, space: Mapping[str, BaseDistribution]
    ) -> dict[str, Any] | None:
        """The candidate with the largest expected improvement; None if there is too little to learn from."""
        others = (other for other in records(study) if other.counts and other.number != trial.number)
        trials = [other for other in others if other.config and METHOD in other.params]
        if sum(bool(other.curve) or other.state == "complete" for other in trials) < LEAST:
            return None
        names, constraints, counts = objective_names(study), read_constraints(study), read_every_epoch(study)
        outlook = Outlook.of(trials[-MOST:], Encoding(space), names, constraints, every_epoch=counts)
        return None if outlook is None else outlook.best(self._random, self.count_parameters, trial.params.get(METHOD))
