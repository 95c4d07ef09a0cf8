"""A study's results, read from its storage. Every command that reads results begins here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.calls.precedence import RUNS_VARIABLE, STORAGE_VARIABLE, of_environment
from peftsearch.core.constraints import Constraint
from peftsearch.core.errors import NotBegun, UserError
from peftsearch.core.files.run_folder import RUNS, TENSORS, RunFolder, runs_folder
from peftsearch.core.front.tolerance import Tolerance, asked_tolerance
from peftsearch.core.objectives import quality_objective
from peftsearch.results import frames
from peftsearch.results.checkpoints import checkpoint_problems
from peftsearch.results.feasibility import why_no_front
from peftsearch.results.front import Row, rows
from peftsearch.results.outlook.prospect import Prospect, prospect
from peftsearch.results.reference import Reference
from peftsearch.results.status import Status, status
from peftsearch.results.times.again import records_of
from peftsearch.storage.database import objective_names, open_storage
from peftsearch.storage.kept.predictions import read_predictions
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import About, read_about, read_constraints, read_reference, read_tolerance

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

    def records(self) -> list[Record]:
        """Every trial in every state, by number; with the times that were measured again, if the front's were."""
        return records_of(self.study, self.objectives)

    def rows(self) -> list[Row]:
        """Every finished trial, best quality first."""
        return rows(self.records(), self.objectives, self.tolerance)

    def front(self) -> list[Row]:
        """The Pareto front, best quality first: the finished trials that no other one dominates.

        Values within the tolerance count as equal. A trial that breaks a constraint neither is on it nor dominates
        another.
        """
        return [row for row in self.rows() if row.on_front]

    def front_frame(self) -> pd.DataFrame:
        """The Pareto front as a pandas frame, best quality first.

        Returns:
            One row for each trial on the front, with these columns:

            - `trial`, `method`, `backbone`;
            - each objective by its name, in the study's order and in its own unit;
            - each hyperparameter that a study can search by its name, missing where the method has none;
            - `epochs_trained`: how many epochs the trial has run;
            - `parameters_share`, `time_share`: trainable parameters and training seconds over those of the best full
              fine-tuning of the same backbone. Without one, parameters are over the model's total, and the time is
              missing.

            What `confirm` has measured on the test split is in `peftsearch.open_confirmation(…).frame()`, by `trial`.
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
        """The trial on the front with the best quality.

        Raises:
            UserError: no trial has finished.
        """
        return self.nonempty_front()[0]

    def number(self, trial: int | str) -> int:
        """A trial's number.

        Args:
            trial: the number itself, or `best`: the trial on the front with the best quality.

        Raises:
            UserError: `best` was asked for, and no trial has finished; or it is neither a number nor `best`.
        """
        if trial == "best":
            return self.best().record.number
        if not re.fullmatch(r"-?\d+", str(trial)):
            raise UserError(f"{trial!r} is neither a trial's number nor 'best'")
        return int(trial)

    def trial(self, trial: int | str) -> Record:
        """One trial in any state.

        Args:
            trial: its number, or `best`.

        Raises:
            UserError: there is no such trial; the message says which there are.
        """
        number, known = self.number(trial), self.records()
        found = next((record for record in known if record.number == number), None)
        if found is None:
            numbers = f"its trials are {known[0].number} to {known[-1].number}" if known else "it has none yet"
            raise UserError(f"study {self.name!r} has no trial {number}; {numbers}")
        return found

    def weights(self, number: int) -> Path | None:
        """The folder with a trial's weights; None if they were not kept, as only those of undominated trials are."""
        folder = self.folder.weights / str(number)
        return folder if (folder / TENSORS).is_file() else None

    def predictions(self, number: int) -> Predictions | None:
        """What the trial's best epoch said about the validation rows.

        Args:
            number: the trial's.

        Returns:
            Logits and labels in the order of the validation split. None if they are not here: the trial has not
            finished, an earlier version trained it, or another machine did.

        Raises:
            UserError: their file is damaged.
        """
        return read_predictions(self.folder.predictions(number))

    def checkpoint_problems(self, *, trust_times: bool = False) -> list[str]:
        """What is wrong with the checkpoints of the front, one line for each that is missing or damaged.

        A checkpoint that another machine has written, and that is not here, is no problem.

        Args:
            trust_times: whether a file whose size and time are as they were is taken for unchanged without reading it.
        """
        return checkpoint_problems(self.front(), self.folder.weights, self.name, trust_times=trust_times)

    def status(self) -> Status:
        """Counts by state and method, the running trials, and an estimate of the time left."""
        return status(self.records(), self.about.budget, self.constraints)

    def prospect(self) -> Prospect | None:
        """What 20 more trials are likely to bring; None while it cannot be told."""
        return prospect(self.records(), self.objectives)


def storage_url(name: str, storage: str | None = None) -> str:
    """The URL `storage`, or else that of `PEFTSEARCH_STORAGE`, or else the study's own SQLite file under `runs/`."""
    return of_environment(storage, STORAGE_VARIABLE) or f"sqlite:///{RunFolder.of(name).database}"


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
    missing = NotBegun(f"study {name!r} has no trials yet{_looked_in(name, url)}; {again}")
    if _is_missing_file(url):
        raise missing
    opened = open_storage(url)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        raise missing from None
    return StoredStudy(name, study, objective_names(study), RunFolder.of(name), url)


def _looked_in(name: str, url: str) -> str:
    """Where the trials were looked for, if nobody has named a storage, and how to name another folder."""
    if url != storage_url(name, ""):
        return ""
    runs = runs_folder().absolute()
    return f" in {runs} (if it was searched from another folder, go there or set {RUNS_VARIABLE}=THAT_FOLDER/{RUNS})"


def _is_missing_file(url: str) -> bool:
    """Whether the URL names a SQLite file that does not exist; opening it would create it."""
    file = url.removeprefix("sqlite:///")
    return file != url and file != ":memory:" and not Path(file.partition("?")[0]).is_file()
