"""Who may train the next trial, so that a total of N is exact with any number of workers and without a lock.

Every trial that has not ended as FAIL counts, in the order of the numbers; a trial whose place is N or beyond is not
trained. A trial's place is the same for every worker, and it only ever falls, as trials before it fail: so no two
workers can both believe that theirs is the N-th. `Study.ask` alone cannot promise that, because it creates a trial
whenever none waits.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.storage.budget import claimable, counted
from peftsearch.storage.optuna_access import frozen_trial
from peftsearch.storage.recovery import put_back
from peftsearch.storage.trial_attributes import (
    DUPLICATE,
    OUTSIDE_SPACE,
    WITHDRAWN,
    assign_worker,
    enqueued_params,
    fixed_baseline,
    has_config,
    has_configuration,
    mark_failed,
    write_config,
)
from peftsearch.study.baselines import Baseline

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

RANDOM_AFTER = 10
"""Duplicates in a row after which the sampler is taken to be stuck, and random search is asked instead."""

EXHAUSTED_AFTER = 100
"""Duplicates in a row that a sampler proposed after which the search space is taken to hold nothing new."""


class SpaceExhausted(Exception):
    """The search space seems to hold no configuration that has not been tried."""


def claim(study: Study, budget: int, worker: Mapping[str, Any]) -> Trial | None:
    """A trial to train: one that waits, or else a new one.

    Args:
        worker: the process that claims it (`worker_identity.identity`), which is written onto the trial.

    Returns:
        A RUNNING trial that no other worker holds; None if the study has `budget` trials without it.
    """
    if not claimable(study, budget):
        return None
    trial = study.ask()
    assign_worker(trial, worker)
    if trial.number in (place.number for place in counted(study)[:budget]):
        return trial
    if has_configuration(trial):
        put_back(study, trial.number)
    else:
        mark_failed(study, trial.number, WITHDRAWN, f"another worker created the last of {budget} trials")
    return None


def claim_new(
    study: Study,
    budget: int,
    worker: Mapping[str, Any],
    suggest: Callable[[Trial, Baseline | None], TrialConfig],
    misfit: Callable[[Mapping[str, Any]], str | None] = lambda _: None,
) -> tuple[Trial, TrialConfig] | None:
    """Claim a trial as `claim` does, with a configuration that no other trial has, and write that onto it.

    Trials that were enqueued for nothing are failed on the way: those of a configuration that another trial has, and
    those that the search space does not hold.

    Args:
        suggest: given a trial, and the baseline if it was enqueued for one; returns its configuration.
        misfit: why parameters that were enqueued through Optuna do not fit the search space; None if they do.

    Raises:
        SpaceExhausted: a hundred configurations in a row that the sampler proposed had been tried before.
    """
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.samplers import RandomSampler

    sampler, proposed = study.sampler, 0
    try:
        while proposed < EXHAUSTED_AFTER:
            if proposed == RANDOM_AFTER:
                study.sampler = RandomSampler(seed=os.getpid() + len(study.get_trials(deepcopy=False)))
            with contextlib.suppress(UpdateFinishedTrialError):  # another process has failed it since: take the next
                trial = claim(study, budget, worker)
                if trial is None:
                    return None
                given, params = has_configuration(trial), enqueued_params(frozen_trial(study, trial.number))
                unfit = misfit(params)
                if unfit is not None:
                    mark_failed(study, trial.number, OUTSIDE_SPACE, unfit)
                    continue
                config = suggest(trial, fixed_baseline(trial))
                write_config(trial, config)
                twin = _twin(study, trial.number, config, given)
                if twin is None:
                    return trial, config
                mark_failed(study, trial.number, DUPLICATE, f"the same configuration as trial {twin}")
                proposed += not (given or params)
    finally:
        study.sampler = sampler
    raise SpaceExhausted(
        f"{EXHAUSTED_AFTER} configurations in a row had been tried before; the space holds nothing new"
    )


def _twin(study: Study, number: int, config: TrialConfig, enqueued: bool) -> int | None:
    """The number of a trial with this configuration, if the trial `number` must make way for it.

    An enqueued trial carries its configuration from the start, so each sees all earlier ones and the first stays. Two
    trials that were sampled at the same moment may both make way, which loses nothing.
    """
    for trial in counted(study):
        other = trial.number < number if enqueued else trial.number != number
        if other and has_config(trial, config):
            return trial.number
    return None
