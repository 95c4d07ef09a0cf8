"""How one claimed trial is trained, and how its end is told to the study."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import BreaksConstraint, breaking, checks_of, checks_so_far
from peftsearch.core.errors import Interrupted, StorageLost, TrialFailure, UserError, one_line
from peftsearch.core.files.disk import DiskFull, DiskRefuses, full_disk
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import find_objective
from peftsearch.core.points import Point
from peftsearch.core.secrets import hide_secrets
from peftsearch.core.trained import TrainedModel
from peftsearch.search.pruning import decide
from peftsearch.storage.artifacts.shelf import Shelf
from peftsearch.storage.budget import state_of_failure
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.database import objective_names
from peftsearch.storage.kept.front_checkpoints import (
    WithPredictions,
    delete_dominated,
    delete_epochs,
    keep_epoch,
    reaches_front,
    save_checkpoint,
)
from peftsearch.storage.kept.known_front import known_front
from peftsearch.storage.kept.paused_states import delete_ended, earlier_epochs
from peftsearch.storage.kept.predictions import write_predictions
from peftsearch.storage.liveness.recovery import retry
from peftsearch.storage.records import Record, ended_records
from peftsearch.storage.study_attributes import read_constraints, read_every_epoch
from peftsearch.storage.times.scale import on_scale, scale_of
from peftsearch.storage.trial_attributes import (
    write_broken,
    write_checks,
    write_curve,
    write_decision,
    write_failure,
    write_measurement,
    write_so_far,
)

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

NOT_TO_BLAME: frozenset[str] = frozenset({"killed", "hub"})
"""Kinds of failure after which the same configuration may well succeed: it is tried once more."""

TRACEBACK_CHARACTERS = 20_000


class Train(Protocol):
    """A function that trains one configuration, and lets whatever `report` raises pass through."""

    def __call__(
        self, config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> TrainedModel: ...


def run(
    study: Study,
    trial: Trial,
    config: TrialConfig,
    train: Train,
    pruner: str,
    folder: RunFolder,
    should_stop: Callable[[], bool],
    shelf: Shelf | None = None,
) -> str | None:
    """Train `config` and tell the study how the trial ended. A failure of the trial is told, not raised.

    Args:
        pruner: the name of the pruning rule.
        folder: the study's, where the checkpoints of the front and the predictions of each trial are kept.
        should_stop: asked again and again during training; training is interrupted once it returns True.
        shelf: keeps the checkpoints of the front for all machines, if the study has a place for them.

    Returns:
        The kind of the trial's failure, if it failed.

    Raises:
        Interrupted: `should_stop` returned True; nothing has been told.
        DiskFull: a disk was full, for which the configuration is not to blame; nothing has been told.
        DiskRefuses: a folder cannot be written, say; the same holds.
        StorageLost: what happened to the trial cannot be told.
        UpdateFinishedTrialError: another process took this one for dead and has failed the trial.
    """
    from optuna import TrialPruned
    from optuna.exceptions import UpdateFinishedTrialError

    def train_and_tell() -> None:
        reporter = Reporter(study, trial, config, pruner, folder)
        try:
            result = train(config, reporter, should_stop)
        except TrialPruned:
            if shelf is not None:
                shelf.keep(trial, reporter.record)
            raise
        _complete(study, trial, result, folder, reporter.record, shelf)

    try:
        failure = told(study, trial, train_and_tell, folder.weights)
    except UpdateFinishedTrialError:
        if shelf is not None:
            shelf.take_back()
        raise
    except (DiskFull, DiskRefuses):
        if not folder.paused_state(config.key()).is_file():  # else it goes on from there, and its epochs are points
            delete_epochs(folder.weights, trial.number)
        raise
    delete_ended(study, folder)
    delete_dominated(study, folder.weights, objective_names(study))
    if shelf is not None:
        shelf.sweep()
    return failure


def told(study: Study, trial: Trial, train_and_tell: Callable[[], None], folder: Path) -> str | None:
    """Train a trial and tell that it is complete, or else tell how it ended.

    Args:
        train_and_tell: trains the trial, and tells the study that it is complete.
        folder: where its files are written, for an error that does not name one.

    Returns:
        The kind of the trial's failure, if it failed.

    Raises:
        Exception: as `run` does.
    """
    from optuna import TrialPruned
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    try:
        train_and_tell()
    except TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except BreaksConstraint as broken:
        write_broken(trial, broken)
        write_checks(trial, broken.checks)
        study.tell(trial, state=TrialState.PRUNED)
    except (Interrupted, StorageLost, UpdateFinishedTrialError, DiskRefuses):
        raise
    except Exception as error:  # what a library raises concerns this trial; the next one may succeed
        full = full_disk(error, folder)
        if full is not None:
            raise full from error
        return _fail(study, trial, error)
    return None


class Reporter:
    """Takes the epochs of a trial: writes its curve, and raises `TrialPruned` once the pruning rule decides so.

    Where each epoch counts, the model of one that no known point dominates is kept in `folder`, if it is given.

    It raises `BreaksConstraint` once the epochs took longer than a constraint allows.
    The epochs of an interrupted training that this one goes on from are reported again; they stand on the trial.

    Optuna's own `trial.report` refuses several objectives, and its intermediate values make TPE fail once such a trial
    is pruned (Optuna 5.0: "A single direction cannot be retrieved"), so the curve is an attribute.
    """

    def __init__(
        self, study: Study, trial: Trial, config: TrialConfig, pruner: str, folder: RunFolder | None = None
    ) -> None:
        self._study = study
        self._trial = trial
        self._pruner = pruner
        self._every_epoch = read_every_epoch(study)
        self._folder = folder if self._every_epoch else None
        self._objectives = objective_names(study)
        self._constraints = read_constraints(study)
        self._earlier = earlier_epochs(trial, config, folder) if folder else ()
        self.record = Record(trial.number, "running", config, curve=self._earlier, constraints=self._constraints)

    @one_look()
    def __call__(self, report: EpochReport) -> None:
        from optuna import TrialPruned

        if report in self._earlier:
            return
        # A trial that runs out of memory begins again with smaller batches: at epoch 1.
        curve = (*self.record.curve[: report.epoch - 1], replace(report, trained=None))
        trained = report.trained
        so_far = trained.measurement if trained is not None else None
        self.record = replace(self.record, curve=curve, so_far=so_far)
        write_curve(self._trial, curve)
        running = on_scale(self.record, scale_of(self._study))  # as the ended trials are, with which it is compared
        checks = checks_so_far(self._constraints, running.curve)
        if breaking(checks):
            raise BreaksConstraint(checks)
        if trained is not None and self._folder is not None:
            keep_epoch(self._study, running, trained, self._folder, self._objectives)
        known, front = ended_records(self._study), known_front(self._study, self._objectives)
        decision = decide(self._pruner, running, known, self._objectives, every_epoch=self._every_epoch, front=front)
        if decision is not None:
            if so_far is not None:
                write_so_far(self._trial, so_far)
            write_decision(self._trial, decision.reason, decision.dominated_by)
            raise TrialPruned(decision.reason)


@one_look()
def _complete(
    study: Study, trial: Trial, result: TrainedModel, folder: RunFolder, trained: Record, shelf: Shelf | None
) -> None:
    """Save checkpoint and predictions before the trial is told, so that every complete trial (on the front) has them.

    What it measured is kept as it is. What is told and checked is on the study's scale of seconds, as for all trials.
    """
    from optuna.trial import TrialState

    objectives = objective_names(study)
    assert trained.config is not None, "a trial that is trained has a configuration"
    measured = scale_of(study).of_reference(trained.config, result.measurement)
    values = [find_objective(name).read(measured) for name in objectives]
    checks = checks_of(read_constraints(study), measured)
    if not breaking(checks) and reaches_front(study, values, objectives):
        number = trial.number
        twin = Point(number, result.measurement.best_epoch)
        save_checkpoint(WithPredictions(result), folder.weights, Point(number), twin=twin)
    if result.predictions is not None:
        write_predictions(folder.predictions(trial.number), result.predictions)
    if shelf is not None:
        ended = replace(trained, state="complete", measurement=result.measurement, checks=checks)
        shelf.keep(trial, replace(ended, values=dict(zip(objectives, values, strict=True))))
    write_measurement(trial, result.measurement)
    write_checks(trial, checks)
    study.tell(trial, values, state=TrialState.COMPLETE)


def _fail(study: Study, trial: Trial, error: Exception) -> str:
    """Tell the study that the trial failed with `error`; returns the kind of failure."""
    kind = failure_of(error)
    message = hide_secrets(message_of(error))
    if kind == "error":
        trace = hide_secrets("".join(traceback.format_exception(error)))[-TRACEBACK_CHARACTERS:]
        write_failure(trial, kind, message, trace, place_of(error))
    else:
        write_failure(trial, kind, message)
    if kind in NOT_TO_BLAME:
        retry(study, trial.number)
    study.tell(trial, state=state_of_failure(kind))
    return kind


def place_of(error: Exception) -> str:
    """The type of the error, and the innermost line of code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {frames[-1].filename}:{frames[-1].lineno}:{frames[-1].name}" if frames else ""
    return type(error).__name__ + where


def failure_of(error: Exception) -> str:
    """Which kind of failure `error` is."""
    return error.kind if isinstance(error, TrialFailure) else "error"


def message_of(error: Exception) -> str:
    """The error in one line, as `ValueError: what it says`; the message alone of an error that we raise ourselves."""
    ours = isinstance(error, TrialFailure | UserError)
    return one_line(error if ours or not str(error) else f"{type(error).__name__}: {error}")
