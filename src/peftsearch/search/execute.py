"""One claimed trial: trained, and told to the study as what it came to."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import OWN_FAILURES, Interrupted, TrialFailure, UserError
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.objectives import find_objective
from peftsearch.search.pruning import decide
from peftsearch.storage import kept_weights
from peftsearch.storage.records import HIDDEN, Record, failure_kind, objective_names, record, records
from peftsearch.storage.recovery import retry

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

NOT_TO_BLAME: frozenset[str] = frozenset({"killed", "disk", "hub"})
"""Kinds of failure after which the same configuration may well succeed."""

EQUAL_ERRORS = 3
"""Errors in a row, all the same, that stop a search."""

TRACEBACK_CHARACTERS = 20_000


class Result(Protocol):
    """What training a trial gives: `training.trial.TrialResult`."""

    @property
    def measurement(self) -> Measurement: ...
    def save(self, folder: Path) -> None: ...


class Train(Protocol):
    """Trains one configuration; what `report` raises passes through."""

    def __call__(
        self, config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> Result: ...


def run(
    study: Study,
    trial: Trial,
    config: TrialConfig,
    train: Train,
    pruner: str,
    folder: Path,
    should_stop: Callable[[], bool],
) -> str | None:
    """Train `config` and tell the study how it ended. A failure of the trial is told, not raised.

    Args:
        folder: of the kept weights.

    Returns:
        The kind of its failure, if it failed.

    Raises:
        Interrupted: `should_stop` said so; nothing has been told.
        UpdateFinishedTrialError: another process took this one for dead and has failed the trial.
    """
    from optuna import TrialPruned
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    failure = None
    try:
        result = train(config, Reporter(study, trial, pruner), should_stop)
        _complete(study, trial, result, folder)
    except TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except (Interrupted, UpdateFinishedTrialError):
        raise
    except Exception as error:  # whatever a library raises belongs to this trial, and the next one may be well
        failure = _fail(study, trial, error)
    kept_weights.sweep(study, folder, objective_names(study))
    return failure


class Reporter:
    """Takes a trial's epochs: writes its curve, and raises `TrialPruned` once the rule says so.

    Optuna's own `trial.report` refuses several objectives, and its intermediate values make TPE fail once such a trial
    is pruned (Optuna 5.0: "A single direction cannot be retrieved"), so the curve is an attribute.
    """

    def __init__(self, study: Study, trial: Trial, pruner: str) -> None:
        self._study = study
        self._trial = trial
        self._pruner = pruner
        self._objectives = objective_names(study)
        self._curve: list[EpochReport] = []

    def __call__(self, report: EpochReport) -> None:
        from optuna import TrialPruned

        # A trial that runs out of memory begins again with smaller batches: at epoch 1.
        self._curve = [*self._curve[: report.epoch - 1], report]
        self._trial.set_user_attr("curve", [epoch.to_dict() for epoch in self._curve])
        decision = decide(self._pruner, self._mine(), records(self._study), self._objectives)
        if decision is not None:
            self._trial.set_user_attr("reason", decision.reason)
            self._trial.set_user_attr("dominated_by", decision.dominated_by)
            raise TrialPruned(decision.reason)

    def _mine(self) -> Record:
        return record(self._study._storage.get_trial(self._trial._trial_id), self._objectives)


def repeated_error(study: Study, since: float) -> str | None:
    """The error that the last three trials to end have in common; those that ended before `since` do not count."""
    began = datetime.fromtimestamp(since)
    ended = [(trial.datetime_complete, trial) for trial in study.get_trials(deepcopy=False)]
    recent = [(at, trial) for at, trial in ended if at and at >= began and failure_kind(trial) not in HIDDEN]
    recent.sort(key=lambda pair: pair[0])
    last = [trial.user_attrs.get("failure") or {} for _, trial in recent[-EQUAL_ERRORS:]]
    messages = {failure["message"] if failure.get("kind") == "error" else None for failure in last}
    return messages.pop() if len(last) == EQUAL_ERRORS and len(messages) == 1 else None


def _complete(study: Study, trial: Trial, result: Result, folder: Path) -> None:
    """Weights first: a trial that is told complete and on the front has them."""
    from optuna.trial import TrialState

    objectives = objective_names(study)
    values = [find_objective(name).read(result.measurement) for name in objectives]
    trial.set_user_attr("measurement", result.measurement.to_dict())
    if kept_weights.reaches_front(study, values, objectives):
        kept_weights.keep(result, folder, trial.number)
    study.tell(trial, values, state=TrialState.COMPLETE)


def _fail(study: Study, trial: Trial, error: Exception) -> str:
    """The kind of failure. The configuration's own is told as PRUNED, since a sampler learns nothing from FAIL."""
    from optuna.trial import TrialState

    kind = failure_of(error)
    failure = {"kind": kind, "message": message_of(error)}
    if kind == "error":
        failure["traceback"] = "".join(traceback.format_exception(error))[-TRACEBACK_CHARACTERS:]
    trial.set_user_attr("failure", failure)
    if kind in NOT_TO_BLAME:
        retry(study, study._storage.get_trial(trial._trial_id))
    study.tell(trial, state=TrialState.PRUNED if kind in OWN_FAILURES else TrialState.FAIL)
    return kind


def failure_of(error: Exception) -> str:
    """The kind of failure that `error` is."""
    if isinstance(error, TrialFailure):
        return error.kind
    return "disk" if isinstance(error, OSError) and error.errno == errno.ENOSPC else "error"


def message_of(error: Exception) -> str:
    """`ValueError: what it says`, in one line; our own errors speak for themselves."""
    text = " ".join(str(error).split())
    return text if isinstance(error, TrialFailure | UserError) else f"{type(error).__name__}: {text}".removesuffix(": ")
