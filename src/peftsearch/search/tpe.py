"""Optuna's TPE over a space of methods: a method's settings proposed together, and what proposals share computed once.

The module imports Optuna, so it is imported where a sampler is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_complete_trials, _split_pruned_trials, default_gamma_multiobjective
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import TrialState

from peftsearch.core.pareto import Array, as_losses, dominates

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study
    from optuna.trial import FrozenTrial

INSERTED = 32
"""New trials up to which each is put in its place; of more, all trials are ranked."""

Divided = tuple[list["FrozenTrial"], list["FrozenTrial"]]


class DividedOnce(TPESampler):
    """Independent TPE over several objectives, without constraints, with the same proposals as Optuna's.

    Optuna 5.0 divides the trials into good and other ones anew for every dimension that it samples, though none has
    ended in between, and ranks all of them anew for every trial, though few of those that ended before can be good now.
    """

    _divided: tuple[object, Divided] | None = None
    _contenders: Contenders | None = None

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
            self._contenders = self._contenders or Contenders(study)
            others = [other for other in known if other.number != trial.number]
            self._divided = known, _divide(study, others, self._contenders)
        return self._divided[1]

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: Study
    ) -> dict[str, np.ndarray]:
        """Of the trials that have all of these dimensions, the values."""
        names = search_space.keys()
        first = next(iter(names))  # which tells most trials of other methods apart
        having = [p for p in (trial.params for trial in trials) if first in p and names <= p.keys()]
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


class Contenders:
    """The completed trials that may be among the best ones, as more of them complete.

    They are the first fronts of all trials, with more trials than there is room for among the best. Who is on them
    follows from them and the new trials alone: a trial's rank is one more than the highest rank of those that dominate
    it, which are all on earlier fronts.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.directions = [direction.name.lower() for direction in study.directions]
        self.seen: set[int] = set()
        self.trials: list[FrozenTrial] = []
        self.losses = as_losses([], self.directions)
        self.ranks = np.empty(0, dtype=np.int64)
        self.fronts = 0

    def best(self, complete: Sequence[FrozenTrial], room: int) -> list[FrozenTrial]:
        """As many as there is room for of all that have completed; on a front that has too many, as Optuna chooses."""
        new = [trial for trial in complete if trial.number not in self.seen]
        self.seen.update(trial.number for trial in new)
        if len(new) <= INSERTED:
            self._add(new)
        last = self._last_front(room)
        if len(new) > INSERTED or last >= self.fronts:
            self._rank_all(complete, room)
            last = self._last_front(room)
        within = [trial for trial, rank in zip(self.trials, self.ranks, strict=True) if rank < last]
        on_last = [trial for trial, rank in zip(self.trials, self.ranks, strict=True) if rank == last]
        return within + _split_complete_trials(on_last, self.study, room - len(within))[0]

    def _last_front(self, room: int) -> int:
        """The front on which there are as many as there is room for."""
        return int(np.searchsorted(np.cumsum(np.bincount(self.ranks)), room))

    def _rank_all(self, trials: Sequence[FrozenTrial], room: int) -> None:
        """Some more fronts than are needed, since trials to come may push some of their trials out."""
        losses = as_losses([trial.values for trial in trials], self.directions)
        spare = min(len(trials), room + room // 4)
        ranks = _fast_non_domination_rank(losses, n_below=max(1, spare))  # those beyond have a rank too high
        self.fronts = int(np.searchsorted(np.cumsum(np.bincount(ranks)), spare)) + 1
        self._keep(trials, losses, ranks)

    def _add(self, new: Sequence[FrozenTrial]) -> None:
        for trial in new:
            losses = as_losses([trial.values], self.directions)
            rank = int(self.ranks[dominates(self.losses, losses)].max(initial=-1)) + 1
            self.losses, self.ranks = np.vstack([self.losses, losses]), np.append(self.ranks, rank)
            moved = losses
            while len(moved):  # who is dominated by what has come to a front must leave it for the next
                on_front = np.flatnonzero(self.ranks == rank)
                rank += 1
                pushed = [i for i in on_front if dominates(moved, self.losses[i]).any()]
                self.ranks[pushed] = rank
                moved = self.losses[pushed]
        self._keep([*self.trials, *new], self.losses, self.ranks)

    def _keep(self, trials: Sequence[FrozenTrial], losses: Array, ranks: NDArray[np.int64]) -> None:
        kept = np.flatnonzero(ranks < self.fronts).tolist()
        kept.sort(key=lambda i: trials[i].number)
        self.trials = [trials[i] for i in kept]
        self.losses, self.ranks = losses[kept], ranks[kept]


def _divide(study: Study, known: Sequence[FrozenTrial], contenders: Contenders) -> Divided:
    """Trials that still run are among the others, so that workers beside each other propose different ones."""
    of = {
        state: [trial for trial in known if trial.state is state]
        for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    }
    complete, pruned, running = of.values()
    room = default_gamma_multiobjective(len(complete) + len(pruned))
    best = contenders.best(complete, min(room, len(complete)))
    more, _ = _split_pruned_trials(pruned, study, max(0, room - len(best)))
    good = {trial.number for trial in best + more}
    others = [trial for trial in complete + pruned + running if trial.number not in good]
    return sorted(best + more, key=_number), sorted(others, key=_number)


def _number(trial: FrozenTrial) -> int:
    return trial.number
