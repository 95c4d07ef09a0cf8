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
from functools import partial
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.storage.budget import claimable, counted, place_of
from peftsearch.storage.connection.looking import look_again, one_look
from peftsearch.storage.liveness.recovery import put_back
from peftsearch.storage.optuna_access import ask_for, frozen_trial
from peftsearch.storage.study_attributes import read_constraints
from peftsearch.storage.takes import Takes, takes_method, takes_trial
from peftsearch.storage.trial_attributes import (
    DUPLICATE,
    OUTSIDE_SPACE,
    WITHDRAWN,
    assign_worker,
    enqueued_params,
    failure_kind,
    fixed_baseline,
    has_config,
    has_configuration,
    is_released,
    mark_failed,
    worker_of,
    write_config,
)
from peftsearch.study.starting_points.baselines import Baseline

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

RANDOM_AFTER = 10
"""Duplicates in a row after which the sampler is taken to be stuck, and random search is asked instead."""

EXHAUSTED_AFTER = 100
"""Duplicates in a row that a sampler proposed after which the search space is taken to hold nothing new."""


Suggest = Callable[["Trial", Baseline | None], TrialConfig]
"""A trial, and the baseline if it was enqueued for one → its configuration."""

Misfit = Callable[[Mapping[str, Any]], str | None]
"""Parameters that were enqueued through Optuna → why they do not fit the search space; None if they do."""


class SpaceExhausted(Exception):
    """The search space seems to hold no configuration that has not been tried."""


def claim(study: Study, budget: int | None, worker: Mapping[str, Any], takes: Takes = "all") -> Trial | None:
    """A trial to train: one that waits, or else a new one.

    Args:
        budget: the total of trials; None to take only those that wait.
        worker: the process that claims it (`worker_identity.identity`), which is written onto the trial.
        takes: which of the waiting trials the worker takes, and whether it creates any.

    Returns:
        A RUNNING trial that no other worker holds; None if the study has `budget` trials without it.
    """
    if not claimable(study, budget, takes):
        return None
    trial = study.ask() if takes == "all" else ask_for(study, partial(takes_trial, takes), create=takes != "texts")
    if trial is None:
        return None
    assign_worker(trial, worker)
    within = has_configuration(trial) if budget is None else place_of(study, trial.number) < budget
    if within:
        return trial
    if has_configuration(trial):
        put_back(study, trial.number)
    else:
        why = "no trial waits" if budget is None else f"another worker created the last of {budget} trials"
        mark_failed(study, trial.number, WITHDRAWN, why)
    return None


def claim_new(
    study: Study,
    budget: int | None,
    worker: Mapping[str, Any],
    suggest: Suggest,
    misfit: Misfit = lambda _: None,
    takes: Takes = "all",
) -> tuple[Trial, TrialConfig] | None:
    """Claim a trial as `claim` does, with a configuration that no other trial has, and write that onto it.

    A claimed trial whose configuration another trial has, or which does not fit the search space, is failed. One whose
    method proves to be for other workers is put back for them, and counts toward the budget. It is kept if nothing else
    is left to claim, since this worker would end and another one would have to start.

    Args:
        misfit: tells which enqueued parameters do not fit.
        takes: which trials the worker takes.

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
            # If another process has failed it since, take the next one.
            with contextlib.suppress(UpdateFinishedTrialError), one_look():
                trial = claim(study, budget, worker, takes)
                if trial is None:
                    return None
                config, drawn = _configure(study, trial, worker, suggest, misfit)
                if config is None:
                    proposed += drawn
                elif takes_method(takes, config.method) or not claimable(study, budget, takes):
                    return trial, config
                else:
                    put_back(study, trial.number)
    finally:
        study.sampler = sampler
    raise SpaceExhausted(
        f"{EXHAUSTED_AFTER} configurations in a row had been tried before; the space holds nothing new"
    )


def _configure(
    study: Study, trial: Trial, worker: Mapping[str, Any], suggest: Suggest, misfit: Misfit
) -> tuple[TrialConfig | None, bool]:
    """Give a claimed trial its configuration, or fail the trial if that does not fit or is not new.

    Returns:
        The configuration, None if the trial was failed; and whether the sampler has drawn it.
    """
    given, params = has_configuration(trial), enqueued_params(frozen_trial(study, trial.number))
    drawn, unfit = not (given or params), misfit(params)
    if unfit is not None:
        mark_failed(study, trial.number, OUTSIDE_SPACE, unfit)
        return None, drawn
    config = suggest(trial, fixed_baseline(trial))
    write_config(trial, config)
    look_again()  # the sampler made do with what the claim saw first; whether the configuration is new is exact
    twin = _twin(study, trial.number, config, given)
    if twin is None:
        return config, drawn
    mark_failed(study, trial.number, DUPLICATE, f"the same configuration as trial {twin.number}")
    if drawn and worker_of(twin).get("parent") != worker.get("parent"):
        study.sampler.reseed_rng()  # two searches that began at once draw the same row of numbers
    return None, drawn


def _twin(study: Study, number: int, config: TrialConfig, enqueued: bool) -> FrozenTrial | None:
    """A trial with this configuration, if the trial `number` must make way for it.

    An enqueued trial carries its configuration from the start, so each sees all earlier ones and the first stays. Two
    trials that were sampled at the same moment may both make way, which loses nothing. A running trial that is about to
    be failed is no twin: the configuration may have been enqueued again in its place. Nor is one that a constraint had
    stopped which the study no longer has.
    """
    from optuna.trial import TrialState

    for trial in counted(study):
        other = trial.number < number if enqueued else trial.number != number
        failing = trial.state is TrialState.RUNNING and failure_kind(trial) is not None
        if other and not failing and has_config(trial, config) and not is_released(trial, read_constraints(study)):
            return trial
    return None
