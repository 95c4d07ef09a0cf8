"""Which trials count toward the budget of a search, and how many of it are left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from peftsearch.core.errors import OWN_FAILURES
from peftsearch.storage.optuna_access import ended_trials
from peftsearch.storage.takes import Takes, takes_trial

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, TrialState


def state_of_failure(kind: str) -> TrialState:
    """The state in which a failed trial ends.

    A failure that its own configuration caused is told as PRUNED: the sampler learns nothing from FAIL, and the trial
    counts toward the budget. Every other failure is told as FAIL, and another trial takes its place.
    """
    from optuna.trial import TrialState

    return TrialState.PRUNED if kind in OWN_FAILURES else TrialState.FAIL


def counts(trial: FrozenTrial) -> bool:
    """Whether `trial` counts toward the budget: every trial does that has not ended as FAIL."""
    from optuna.trial import TrialState

    return trial.state is not TrialState.FAIL


def counted(study: Study) -> list[FrozenTrial]:
    """The trials that count toward the budget, ordered by number."""
    return [trial for trial in study.get_trials(deepcopy=False) if counts(trial)]


def place_of(study: Study, number: int) -> int:
    """How many trials that count come before the trial `number`.

    Numbers have no gaps, so only those that do not count are looked for, and they have ended.
    """
    return number - sum(trial.number < number and not counts(trial) for trial in ended_trials(study))


def finished(study: Study) -> int:
    """How many trials count and have ended: complete, pruned, or failed by their own configuration."""
    return sum(counts(trial) for trial in ended_trials(study))


def is_over(study: Study, budget: int | None) -> bool:
    """Whether all trials of the budget have ended; without a budget, whether none waits or runs."""
    if budget is not None:
        return finished(study) >= budget
    return all(trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def claimable(study: Study, budget: int | None, takes: Takes = "all") -> int:
    """How many trials of `budget` no worker holds: those that wait, and those that have not been created yet.

    Without a budget, nothing is created, and only what was enqueued is trained.

    Args:
        takes: count what such a worker can claim.
    """
    from optuna.trial import TrialState

    trials = counted(study)
    waiting = sum(trial.state is TrialState.WAITING and takes_trial(takes, trial) for trial in trials[:budget])
    return waiting + (0 if budget is None or takes == "texts" else max(0, budget - len(trials)))
