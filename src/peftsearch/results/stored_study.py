"""A study's results as they stand in a storage: what every command that only reads begins with."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.core.objectives import quality_objective
from peftsearch.core.run_folder import RunFolder
from peftsearch.results import front
from peftsearch.results.reference import Reference
from peftsearch.results.status import Status, status
from peftsearch.storage.database import objective_names, open_storage
from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import About, read_about, read_reference

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study


@dataclass(frozen=True)
class StoredStudy:
    """A study that a search has begun.

    Attributes:
        url: of its storage; may hold a password.
        objectives: by name, in the order of the study's directions.
        folder: where its caches and checkpoints lie.
    """

    name: str
    study: Study
    objectives: tuple[str, ...]
    folder: RunFolder
    url: str = field(repr=False)

    @property
    def storage(self) -> BaseStorage:
        return storage_of(self.study)

    @property
    def quality(self) -> str:
        """The objective by which trials are ranked."""
        return quality_objective(self.objectives)

    @property
    def reference(self) -> Reference | None:
        """TF-IDF and logistic regression on the same splits, if the search has measured it."""
        raw = read_reference(self.study)
        return Reference.from_dict(raw) if raw else None

    @property
    def about(self) -> About:
        """What `optimize` has written down of the study file."""
        return read_about(self.study)

    def records(self) -> list[Record]:
        return records(self.study)

    def rows(self) -> list[front.Row]:
        """Every finished trial, best quality first."""
        return front.rows(self.records(), self.objectives)

    def found_front(self) -> list[front.Row]:
        """The front, which is not empty.

        Raises:
            UserError: no trial has finished.
        """
        found = self.front()
        if not found:
            raise UserError(f"study {self.name!r} has no finished trial yet; see peftsearch status --study {self.name}")
        return found

    def front(self) -> list[front.Row]:
        """The Pareto front, best quality first."""
        return front.front(self.records(), self.objectives)

    def number(self, trial: int | str) -> int:
        """The number of a trial: itself, or of `best`, the best quality on the front."""
        return self.found_front()[0].record.number if trial == "best" else int(trial)

    def status(self) -> Status:
        return status(self.records(), self.about.budget)


def storage_url(name: str, storage: str | None = None) -> str:
    """`storage`, else what `PEFTSEARCH_STORAGE` says, else the study's own SQLite file under `runs/`."""
    return storage or os.environ.get("PEFTSEARCH_STORAGE") or f"sqlite:///{RunFolder.of(name).database}"


def open_stored(name: str, storage: str | None = None) -> StoredStudy:
    """The results of the study `name`; nothing is made if there are none.

    Raises:
        UserError: no search of this study has begun, or its storage cannot be opened.
    """
    import optuna

    url = storage_url(name, storage)
    missing = UserError(
        f"study {name!r} has no trials yet; start it with: peftsearch optimize --study {name} --trials 20"
    )
    if _is_missing_file(url):
        raise missing
    opened = open_storage(url)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        raise missing from None
    return StoredStudy(name, study, objective_names(study), RunFolder.of(name), url)


def _is_missing_file(url: str) -> bool:
    """Opening a SQLite file that is not there would make it."""
    file = url.removeprefix("sqlite:///")
    return file != url and file != ":memory:" and not Path(file.partition("?")[0]).is_file()
