"""A study's results, read from its storage. Every command that reads results begins here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.calls.precedence import of_study
from peftsearch.core.constraints import Constraint
from peftsearch.core.errors import NotBegun, UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.front.tolerance import Tolerance, asked_tolerance
from peftsearch.core.objectives import quality_objective
from peftsearch.core.points import Point
from peftsearch.results import frames
from peftsearch.results.checkpoints import checkpoint_problems, fetched, predictions_of, weights_of
from peftsearch.results.feasibility import why_no_front
from peftsearch.results.front import Row, points, whole_trials
from peftsearch.results.naming import BEST, point_named, record_at
from peftsearch.results.outlook.prospect import Prospect, prospect
from peftsearch.results.reference import Reference
from peftsearch.results.status import Status, status
from peftsearch.results.times.again import records_of
from peftsearch.storage.connection.where import is_missing_file, looked_in, storage_url
from peftsearch.storage.database import objective_names, open_storage
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import (
    About,
    read_about,
    read_constraints,
    read_every_epoch,
    read_reference,
    read_tolerance,
)

if TYPE_CHECKING:
    import pandas as pd
    from optuna.storages import BaseStorage
    from optuna.study import Study

    from peftsearch.core.predictions import Predictions
    from peftsearch.workers.outcome import Outcome


@dataclass(frozen=True)
class StoredStudy:
    """The results of a study, read from its storage at each call: a search of it may be running meanwhile.

    Attributes:
        name: the study's name in the storage.
        study: the Optuna study.
        objectives: their names, in the order of the study's directions.
        folder: where the study's caches and checkpoints lie.
        url: the storage's URL; it may hold a password.
        outcome: how the search ended that returned these results; None for results that were only opened.
        asked: the tolerance that `with_tolerance` was given, which comes before the study's own.
        epochs_asked: what `with_every_epoch` was given, which does so too.

    Examples:
        >>> import peftsearch
        >>> results = peftsearch.open_results("quickstart")
        >>> results.quality
        'macro_f1'
        >>> len(results.trials_frame())
        2
    """

    name: str
    study: Study
    objectives: tuple[str, ...]
    folder: RunFolder
    url: str = field(repr=False)
    outcome: Outcome | None = None
    asked: Tolerance = field(default_factory=dict)
    epochs_asked: bool | None = None

    @property
    def storage(self) -> BaseStorage:
        return storage_of(self.study)

    @property
    def quality(self) -> str:
        """The objective by which trials are ranked."""
        return quality_objective(self.objectives)

    @property
    def reference(self) -> Reference | None:
        """TF-IDF and logistic regression on the same splits, once the search has measured it."""
        raw = read_reference(self.study)
        return Reference.from_dict(raw) if raw else None

    @property
    def about(self) -> About:
        """What the search has written down of the study file."""
        return read_about(self.study)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The bounds that a trial must keep to be on the front, as the last search had them."""
        return read_constraints(self.study)

    @property
    def tolerance(self) -> Tolerance:
        """Within which values count as equal on the front: as asked for, or else as the last search had it."""
        return {**read_tolerance(self.study), **self.asked}

    def with_tolerance(self, tolerance: Mapping[str, float | str] | str | None) -> StoredStudy:
        """The same results, whose front is chosen with another tolerance. The study itself stays as it is.

        Args:
            tolerance: objective → by how much two values may differ and count as equal, in the objective's unit or, for
                a cost, as a percentage; `none` if only the same values are equal. What it leaves out stays as it is.

        Raises:
            UserError: the study has no such objective, or this can be no tolerance.

        Example:
            >>> results = peftsearch.open_results("quickstart").with_tolerance({"train_seconds": "20%"})
            >>> len(results.front()) <= len(results.with_tolerance("none").front())
            True
        """
        return replace(self, asked={**self.asked, **asked_tolerance(tolerance, self.objectives)})

    @property
    def every_epoch(self) -> bool:
        """Whether each epoch of a trial is a point of its own: as asked for, or else as the last search had it."""
        return of_study(self.epochs_asked, read_every_epoch(self.study))

    def with_every_epoch(self, counts: bool | None) -> StoredStudy:
        """The same results, whose front is chosen among every epoch of the trials, or among whole trials only.

        Args:
            counts: whether each epoch is a point; None for what the study says. The study itself stays as it is.

        Example:
            >>> results = peftsearch.open_results("quickstart").with_every_epoch(False)
            >>> all(row.point.epoch is None for row in results.front())
            True
        """
        return replace(self, epochs_asked=counts)

    def records(self) -> list[Record]:
        """Every trial in every state, by number; with the times that were measured again, if the front's were."""
        return records_of(self.study, self.objectives, self.epochs_asked)

    def points(self) -> list[Row]:
        """Every point that can be on the front, best quality first: the finished trials and, where every epoch counts,
        each trial as it was after each of its epochs, also if it was stopped early."""
        return points(self.records(), self.objectives, self.tolerance, every_epoch=self.every_epoch)

    def rows(self) -> list[Row]:
        """Every finished trial, best quality first."""
        return whole_trials(self.points())

    def front(self) -> list[Row]:
        """The Pareto front, best quality first: the points that no other one dominates.

        Values within the tolerance count as equal. What breaks a constraint neither is on it nor dominates another.
        """
        return [row for row in self.points() if row.on_front]

    def front_frame(self) -> pd.DataFrame:
        """The Pareto front as a pandas frame, best quality first.

        Returns:
            One row for each point on the front, with these columns:

            - `trial`, `epoch`, `method`, `backbone`; the epoch is missing where the point is the whole trial;
            - each objective by its name, in the study's order and in its own unit;
            - each hyperparameter that a study can search by its name, missing where the method has none;
            - `own_train_seconds`: the training seconds as the trial's own device has measured them;
            - `epochs_trained`: how many epochs that takes;
            - `parameters_share`, `time_share`: trainable parameters and training seconds over those of the best full
              fine-tuning of the same backbone. Without one, parameters are over the model's total, and the time is
              missing.

            `peftsearch.open_confirmation(…).frame()` has what was measured on the test split, by `trial` and `epoch`.
        """
        return frames.front_frame(self.front(), self.objectives)

    def trials_frame(self) -> pd.DataFrame:
        """Every trial as a pandas frame, by number.

        Returns:
            One row for each trial, with these columns:

            - `trial`, `method`, `backbone`;
            - `state`: `waiting`, `running`, `complete`, `pruned` or `failed`;
            - each objective by its name, in its own unit; missing unless the trial is complete;
            - each hyperparameter that a study can search by its name, missing where the method has none;
            - `own_train_seconds`: the training seconds as the trial's own device has measured them;
            - `epochs_trained`: how many epochs have finished;
            - `reason`: why the trial was pruned or failed.
        """
        return frames.trials_frame(self.records(), self.objectives)

    def nonempty_front(self) -> list[Row]:
        """The Pareto front, best quality first, where it must not be empty.

        Raises:
            UserError: no trial has finished, or none keeps the constraints.
        """
        found = self.front()
        if not found:
            reason = why_no_front(self.records())
            raise UserError(f"study {self.name!r} has no front: {reason}; see peftsearch status --study {self.name}")
        return found

    def best(self) -> Row:
        """The point on the front with the best quality.

        Raises:
            UserError: no trial has finished.
        """
        return self.nonempty_front()[0]

    def point(self, trial: int | str | Point) -> Point:
        """What a person calls a point.

        Args:
            trial: a trial's number, an epoch of it as `7@3`, or `best`: the point on the front with the best quality.

        Raises:
            UserError: `best` was asked for, and no trial has finished; or it names nothing.
        """
        return self.best().point if trial == BEST else point_named(trial)

    def trial(self, trial: int | str | Point) -> Record:
        """One trial in any state, or as it was after one of its epochs.

        Args:
            trial: as for `point`.

        Raises:
            UserError: there is no such trial or epoch; the message says which there are.
        """
        return record_at(self.point(trial), self.records(), self.objectives, self.name)

    def weights(self, trial: int | str | Point, *, fetch: bool = False) -> Path | None:
        """The folder with a point's weights, with `fetch` brought here if machines share a place for them; None if they
        were not kept, as only those of undominated points are."""
        record, folder = self.trial(trial), self.folder.weights
        return fetched(self.study, record, folder) if fetch else weights_of(record, folder)

    def predictions(self, trial: int | str | Point) -> Predictions | None:
        """What a trial's best epoch, or the epoch that is named, said about the validation rows, in their order.

        None if it was not kept: the trial has not finished, an earlier version trained it, or another machine that
        shares no place for weights, or it is an epoch that is not on the front.

        Raises UserError where the file is damaged.
        """
        return predictions_of(self.study, self.trial(trial), self.folder)

    def checkpoint_problems(self, *, trust_times: bool = False) -> list[str]:
        """What is wrong with the checkpoints of the front, one line for each that is missing or damaged.

        One that another machine has written is no problem, unless the study has a place that it has not reached.

        Args:
            trust_times: whether a file whose size and time are as they were is taken for unchanged without reading it.
        """
        return checkpoint_problems(self.study, self.front(), self.folder.weights, trust_times=trust_times)

    def status(self) -> Status:
        """Counts by state and method, the running trials, and an estimate of the time left."""
        return status(self.records(), self.about.budget, self.constraints)

    def prospect(self) -> Prospect | None:
        """What 20 more trials are likely to bring; None while it cannot be told."""
        return prospect(self.records(), self.objectives)


def open_stored(name: str, storage: str | None = None, options: str = "") -> StoredStudy:
    """Open the results of the study `name`. Nothing is created if there are none.

    Args:
        name: the study's name in the storage.
        storage: as for `storage_url`.
        options: those that name the study for a command; by default `--study` and its name.

    Raises:
        UserError: no search of this study has begun, or its storage cannot be opened.
    """
    import optuna

    url = storage_url(name, storage)
    again = f"start it with: peftsearch optimize {options or f'--study {name}'} --trials 20"
    missing = NotBegun(f"study {name!r} has no trials yet{looked_in(name, url)}; {again}")
    if is_missing_file(url):
        raise missing
    opened = open_storage(url)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        raise missing from None
    return StoredStudy(name, study, objective_names(study), RunFolder.of(name), url)
