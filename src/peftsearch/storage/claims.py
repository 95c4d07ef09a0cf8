"""Who may train the next trial, so that a total of N is exact with any number of workers and without a lock.

Every trial that is not failed counts, in the order of its number; a trial whose place is N or beyond is not trained.
A number's place is the same for every worker, and it only ever falls, as trials before it fail: so no two workers
can both believe theirs to be the N-th. `Study.ask` cannot promise that: it makes a trial whenever none waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

RANDOM_AFTER = 10
"""Duplicates in a row after which the sampler is taken to be stuck, and random search asked instead."""

EXHAUSTED_AFTER = 100
"""Duplicates in a row after which the space is taken to hold nothing new."""


class SpaceExhausted(Exception):
    """The search space seems to hold no configuration that has not been tried."""


def claim(study: Study, budget: int, worker: Mapping[str, Any]) -> Trial | None:
    """A trial to train, now RUNNING and nobody else's; None if the study has `budget` trials without this one.

    Does what `Study.ask` does, within the budget: the trials that wait first, then a new one.

    Args:
        worker: who claims it (`recovery.identity`); it stands on the trial.
    """
    from optuna.trial import Trial

    study._thread_local.cached_all_trials = None  # as `Study.ask`: the sampler must see what other workers finished
    known = counted(study)
    trial_id = _take_waiting(study, known[:budget], worker)
    if trial_id is None and len(known) < budget:
        trial_id = _create(study, budget, worker)
    return None if trial_id is None else Trial(study, trial_id)


def claim_new(
    study: Study, budget: int, worker: Mapping[str, Any], suggest: Callable[[Trial], TrialConfig]
) -> tuple[Trial, TrialConfig] | None:
    """As `claim`, with a configuration that no other trial has; it then stands on the trial as `config`.

    Raises:
        SpaceExhausted: a hundred configurations in a row had been met before.
    """
    from optuna.samplers import RandomSampler

    sampler = study.sampler
    try:
        for attempt in range(EXHAUSTED_AFTER):
            if attempt == RANDOM_AFTER:
                study.sampler = RandomSampler(seed=os.getpid() + len(study.get_trials(deepcopy=False)))
            trial = claim(study, budget, worker)
            if trial is None:
                return None
            enqueued = "config" in trial.user_attrs
            config = suggest(trial)
            trial.set_user_attr("config", config.to_dict())
            twin = _twin(study, trial.number, config, enqueued)
            if twin is None:
                return trial, config
            withdraw(study, trial._trial_id, "duplicate", f"the same configuration as trial {twin}")
    finally:
        study.sampler = sampler
    raise SpaceExhausted(
        f"{EXHAUSTED_AFTER} configurations in a row had been tried before; the space holds nothing new"
    )


def counted(study: Study) -> list[FrozenTrial]:
    """The trials that count towards the budget, by number: all that are not failed."""
    from optuna.trial import TrialState

    return [trial for trial in study.get_trials(deepcopy=False) if trial.state is not TrialState.FAIL]


def finished(study: Study) -> int:
    """How many trials are done for good: complete, pruned, or failed by their own configuration."""
    return sum(trial.state.is_finished() for trial in counted(study))


def claimable(study: Study, budget: int) -> int:
    """How many trials of `budget` nobody holds: those that wait, and those not made yet."""
    from optuna.trial import TrialState

    trials = counted(study)
    waiting = sum(trial.state is TrialState.WAITING for trial in trials[:budget])
    return waiting + max(0, budget - len(trials))


def withdraw(study: Study, trial_id: int, kind: str, message: str) -> None:
    """End a trial that was only ever a claim; no table shows it."""
    from optuna.trial import TrialState

    study._storage.set_trial_user_attr(trial_id, "failure", {"kind": kind, "message": message})
    study._storage.set_trial_state_values(trial_id, TrialState.FAIL)


def _take_waiting(study: Study, known: Sequence[FrozenTrial], worker: Mapping[str, Any]) -> int | None:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    for trial in known:
        if trial.state is not TrialState.WAITING:
            continue
        try:
            if study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                study._storage.set_trial_user_attr(trial._trial_id, "worker", dict(worker))
                return trial._trial_id
        except UpdateFinishedTrialError:
            continue  # another worker took it and is done with it already
    return None


def _create(study: Study, budget: int, worker: Mapping[str, Any]) -> int | None:
    from optuna.trial import TrialState, create_trial

    mine = create_trial(state=TrialState.RUNNING, user_attrs={"worker": dict(worker)})
    trial_id = study._storage.create_new_trial(study._study_id, template_trial=mine)
    counting = counted(study)
    if trial_id in [trial._trial_id for trial in counting[:budget]]:
        study._thread_local.cached_all_trials = counting  # the sampler would read them once more; no failed ones either
        return trial_id
    withdraw(study, trial_id, "withdrawn", f"another worker made the last of {budget} trials")
    return None


def _twin(study: Study, number: int, config: TrialConfig, enqueued: bool) -> int | None:
    """The number of a trial with this configuration, if `number` must make way for it.

    Trials that were enqueued carry their configuration from the start, so each sees all earlier ones and the first
    stays. Two that were sampled at the same moment may both make way, which loses nothing.
    """
    for trial in counted(study):
        other = trial.number < number if enqueued else trial.number != number
        if other and has_config(trial, config):
            return trial.number
    return None


def has_config(trial: FrozenTrial, config: TrialConfig) -> bool:
    """Whether `config` is the configuration that stands on `trial`.

    Every trial is asked at every claim, so its key is made only where what tells nearly all of them apart is equal.
    """
    raw = trial.user_attrs.get("config")
    if not raw or raw["method"] != config.method or raw["settings"] != config.settings:
        return False
    return TrialConfig.from_dict(raw).key() == config.key()
