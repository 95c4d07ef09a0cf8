"""The attributes that a trial carries in the storage: the only place that knows their names.

Trials of earlier versions carry the same names, so none may change. A worker writes onto the `Trial` it holds; another
process, which has no such object, names the trial by its study and number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import BreaksConstraint, Check, Constraint, breaking, checks_of_values
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.progress import StepReport
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.study.starting_points.baselines import Baseline

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

CONFIG = "config"
CURVE = "curve"
MEASUREMENT = "measurement"
SO_FAR = "measured_so_far"
"""What a trial had measured when it was pruned."""

REASON, DOMINATED_BY = "reason", "dominated_by"
FAILURE = "failure"
WORKER, HEARTBEAT, PROGRESS = "worker", "heartbeat", "progress"
RETRY_OF = "retry_of"
LOST = "lost"
"""How many workers were lost, each with the process that watched over it, while they trained the configuration and
came to no further epoch."""

LOST_AFTER = "lost_after"
"""How many epochs there were when the last one was lost."""

CONTINUES = "continues"
"""The numbers of the failed trials whose epochs stand on the trial, first to last."""

CONSTRAINED = "constrained"
"""Objective → number, of a trial that was not trained to its end because it breaks a constraint."""

ENQUEUED = "fixed_params"
"""Optuna's own name for the parameters of an enqueued trial; no public call reads them before they are suggested."""

FIXED = "fixed"
"""The configuration of a trial that was enqueued, exactly, even where it lies outside the search space."""

BASELINE, DEFAULT = "baseline", "default"
"""The place of a written baseline in the study file; True for a default point that the file does not mention."""

REPEATS = "repeats"
"""What a run of `confirm` repeats, see `storage.confirm_queue`."""

INHERITED = (CONFIG, FIXED, BASELINE, DEFAULT, REPEATS, CURVE)
"""What a second try has in common with the first; from the last epoch of the curve, it may go on."""

OUTSIDE_SPACE = "outside_space"
"""The kind of failure of a trial that was enqueued with parameters that the search space does not hold."""

WITHDRAWN, DUPLICATE = "withdrawn", "duplicate"
HIDDEN: frozenset[str] = frozenset({WITHDRAWN, DUPLICATE})
"""Kinds of failure of trials that were only ever claims: beyond the budget, or with a configuration that another trial
has. No table shows such a trial."""


def write_config(trial: Trial, config: TrialConfig) -> None:
    """Write which configuration `trial` trains."""
    trial.set_user_attr(CONFIG, config.to_dict())


def write_curve(trial: Trial, curve: Sequence[EpochReport]) -> None:
    """Write all epochs so far, in place of those that were written before."""
    trial.set_user_attr(CURVE, [epoch.to_dict() for epoch in curve])


def read_curve(trial: Trial | FrozenTrial) -> tuple[EpochReport, ...]:
    """The epochs so far."""
    return tuple(EpochReport.from_dict(epoch) for epoch in trial.user_attrs.get(CURVE) or ())


def forget_epochs(trial: Trial) -> None:
    """Let `trial` begin with its first epoch, whatever stands on it."""
    write_curve(trial, ())
    trial.set_user_attr(CONTINUES, [])


def continues(trial: Trial | FrozenTrial) -> tuple[int, ...]:
    """The failed trials whose epochs stand on `trial`, first to last."""
    return tuple(trial.user_attrs.get(CONTINUES) or ())


def write_decision(trial: Trial, reason: str, dominated_by: int | None) -> None:
    """Write why `trial` is pruned, and the number of the trial that dominates it, if one does."""
    trial.set_user_attr(REASON, reason)
    trial.set_user_attr(DOMINATED_BY, dominated_by)


def write_checks(trial: Trial, checks: Iterable[Check]) -> None:
    """Tell the sampler how far `trial` is beyond each of the study's constraints, as far as that is known.

    Optuna takes each constraint of a trial once, and compares trials by the sum of what is above 0.
    """
    for check in checks:
        if check.value is not None:
            trial.set_constraint(check.constraint.objective, check.excess)


def write_broken(trial: Trial, broken: BreaksConstraint) -> None:
    """Write which constraints `trial` breaks, and why it is therefore not trained any further."""
    trial.set_user_attr(CONSTRAINED, {check.constraint.objective: check.value for check in broken.checks})
    trial.set_user_attr(REASON, str(broken))


def write_measurement(trial: Trial, measurement: Measurement) -> None:
    """Write what `trial` measured in the end."""
    trial.set_user_attr(MEASUREMENT, measurement.to_dict())


def write_so_far(trial: Trial, measurement: Measurement) -> None:
    """Write what `trial` has measured until it is pruned, without which its epochs are no points of a front."""
    trial.set_user_attr(SO_FAR, measurement.to_dict())


def write_failure(
    trial: Trial, kind: str, message: str, traceback: str | None = None, place: str | None = None
) -> None:
    """Write how `trial` failed; its state is told to the study afterwards.

    Args:
        kind: the kind of the failure.
        message: what happened, in one line.
        traceback: as Python prints it.
        place: the type of the error and the line of code that raised it, by which equal errors are recognised.
    """
    details = {name: text for name, text in (("traceback", traceback), ("place", place)) if text}
    trial.set_user_attr(FAILURE, _failure(kind, message) | details)


def assign_worker(trial: Trial, worker: Mapping[str, Any]) -> None:
    """Write which worker process has claimed `trial` (see `worker_identity.identity`)."""
    trial.set_user_attr(WORKER, dict(worker))


def write_heartbeat(storage: BaseStorage, trial_id: int, seconds: float) -> None:
    """Write the unix time at which the worker of a running trial was alive."""
    storage.set_trial_user_attr(trial_id, HEARTBEAT, seconds)


def write_progress(
    storage: BaseStorage, trial_id: int, last_step: float, slowest_step: float | None, at: StepReport | None = None
) -> None:
    """Write when the trial last made a step (unix time), how many seconds its slowest step took, and where it is."""
    progress = {"last_step": last_step, "slowest_step": slowest_step, "at": asdict(at) if at else None}
    storage.set_trial_user_attr(trial_id, PROGRESS, progress)


def clear_attempt(study: Study, number: int) -> None:
    """Remove what the worker of an interrupted trial has written, but its curve, from whose end it may go on."""
    storage, ended = storage_of(study), trial_id(study, number)
    for name in (SO_FAR, WORKER, HEARTBEAT, PROGRESS):
        storage.set_trial_user_attr(ended, name, None)


def announce_failure(study: Study, number: int, kind: str, message: str) -> None:
    """Write onto a running trial that this process does not hold why it will be failed.

    Raises:
        UpdateFinishedTrialError: the trial has ended already.
    """
    storage_of(study).set_trial_user_attr(trial_id(study, number), FAILURE, _failure(kind, message))


def mark_failed(study: Study, number: int, kind: str, message: str) -> None:
    """End a trial that this process does not hold as failed.

    Raises:
        UpdateFinishedTrialError: the trial has ended already.
    """
    from optuna.trial import TrialState

    announce_failure(study, number, kind, message)
    storage_of(study).set_trial_state_values(trial_id(study, number), TrialState.FAIL)


def baseline_attributes(baseline: Baseline, config: TrialConfig) -> dict[str, Any]:
    """The attributes with which `baseline` is enqueued."""
    fixed = {"method": baseline.method, "backbone": baseline.backbone, "settings": dict(baseline.settings)}
    origin = {DEFAULT: True} if baseline.written is None else {BASELINE: baseline.written}
    return {FIXED: fixed, **origin, CONFIG: config.to_dict()}


def retry_attributes(trial: FrozenTrial, *, second: bool) -> dict[str, Any]:
    """The attributes with which the configuration of `trial` is enqueued once more.

    Args:
        second: whether that is the second try, and so the last one. Otherwise it takes the place of `trial`.
    """
    names = INHERITED if second else (*INHERITED, RETRY_OF)
    inherited = {name: trial.user_attrs[name] for name in names if name in trial.user_attrs}
    return (
        inherited
        | {CONTINUES: [*continues(trial), trial.number]}
        | ({RETRY_OF: trial.number} if second else {LOST: losses(trial) + 1, LOST_AFTER: len(read_curve(trial))})
    )


def fixed_baseline(trial: Trial) -> Baseline | None:
    """The baseline that `trial` was enqueued for, if it was."""
    attributes = trial.user_attrs
    fixed = attributes.get(FIXED)
    if fixed is None:
        return None
    return Baseline(fixed["method"], fixed["backbone"], fixed["settings"], attributes.get(BASELINE))


def enqueued_params(trial: FrozenTrial) -> Mapping[str, Any]:
    """The parameters that `trial` was enqueued with through Optuna; empty for a trial that a sampler begins."""
    params: Mapping[str, Any] = trial.system_attrs.get(ENQUEUED, {})
    return params


def enqueued_with(params: Mapping[str, Any]) -> dict[str, Any]:
    """The system attributes of a trial that is enqueued with these parameters, as `Study.enqueue_trial` writes them."""
    return {ENQUEUED: dict(params)}


def has_configuration(trial: Trial | FrozenTrial) -> bool:
    """Whether it is known what `trial` trains: it was enqueued with a configuration, or a sampler has drawn one."""
    return bool({CONFIG, FIXED} & set(trial.user_attrs))


def has_config(trial: FrozenTrial, config: TrialConfig) -> bool:
    """Whether `trial` carries the configuration `config`.

    Every trial is compared at every claim, so `TrialConfig.key` is computed only where method and settings are equal.
    """
    raw = trial.user_attrs.get(CONFIG)
    if not raw or raw["method"] != config.method or raw["settings"] != config.settings:
        return False
    return TrialConfig.from_dict(raw).key() == config.key()


def is_released(trial: FrozenTrial, constraints: Iterable[Constraint]) -> bool:
    """Whether a constraint has stopped `trial` that is no longer among `constraints`, so that it may be tried again."""
    values = trial.user_attrs.get(CONSTRAINED)
    return values is not None and not breaking(checks_of_values(constraints, values))


def is_retry(trial: FrozenTrial) -> bool:
    """Whether `trial` is the second try of a configuration."""
    return trial.user_attrs.get(RETRY_OF) is not None


def losses(trial: FrozenTrial) -> int:
    """How many workers were lost with the configuration of `trial` since it last came to a further epoch."""
    lost: int = trial.user_attrs.get(LOST, 0)
    return 0 if len(read_curve(trial)) > trial.user_attrs.get(LOST_AFTER, 0) else lost


def worker_of(trial: FrozenTrial) -> Mapping[str, Any]:
    """The worker that claimed `trial`; empty if none did, or if it died before it wrote its name."""
    return trial.user_attrs.get(WORKER) or {}


def heartbeat_of(trial: FrozenTrial) -> float | None:
    """The unix time at which the worker of `trial` was last seen alive."""
    heartbeat: float | None = trial.user_attrs.get(HEARTBEAT)
    return heartbeat


def progress_of(trial: FrozenTrial) -> Mapping[str, float | None]:
    """`last_step` and `slowest_step` of a running trial (see `write_progress`); empty if it does not tell."""
    return trial.user_attrs.get(PROGRESS) or {}


def step_of(trial: FrozenTrial) -> StepReport | None:
    """Where a running trial is in its training; None if it does not tell, as workers of earlier versions do not."""
    at = (trial.user_attrs.get(PROGRESS) or {}).get("at")
    return StepReport(**at) if at else None


def failure_kind(trial: FrozenTrial) -> str | None:
    """The kind of failure written on `trial`, if it failed."""
    failure = trial.user_attrs.get(FAILURE)
    return failure["kind"] if failure else None


def _failure(kind: str, message: str) -> dict[str, str]:
    return {"kind": kind, "message": message}
