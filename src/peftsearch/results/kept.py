"""The studies whose trials are kept: in the folder of all studies, or in the database that the user names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from peftsearch.core.calls.precedence import STORAGE_VARIABLE, of_environment
from peftsearch.core.errors import StorageLost, UserError
from peftsearch.core.files.run_folder import RunFolder, stored_names
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.confirm_queue import is_queue
from peftsearch.storage.database import open_storage


@dataclass(frozen=True)
class Kept:
    """A study that has trials, or was begun.

    Attributes:
        name: its name in the storage.
        goal: the question that its file asks.
        done: the number of trials that have ended and count toward `trials`; None if they cannot be read.
        trials: the total last asked for.
        running: the number of running trials.
        problem: why it cannot be read.
    """

    name: str
    goal: str = ""
    done: int | None = None
    trials: int | None = None
    running: int = 0
    problem: str | None = None

    @property
    def file(self) -> str | None:
        """The study file, where `optimize` has made it from a file of texts."""
        made = RunFolder.of(self.name).study_file
        return str(made) if made.is_file() else None

    @property
    def state(self) -> str:
        """How far it is, in words."""
        if self.problem is not None:
            return f"cannot be read: {self.problem}"
        of = f" of {self.trials:,}" if self.trials and self.trials > (self.done or 0) else ""
        running = f", {self.running:,} running" if self.running else ""
        noun = "trial" if (self.done, of) == (1, "") else "trials"
        return f"{self.done:,}{of} {noun} done{running}"

    def to_dict(self) -> dict[str, Any]:
        return {"done": self.done, "trials": self.trials, "running": self.running, "problem": self.problem}


def kept_studies(storage: str | None = None) -> list[Kept]:
    """Every study whose trials are kept, sorted by name. One that cannot be read says why.

    Args:
        storage: a database URL; by default `PEFTSEARCH_STORAGE`, else the SQLite files in the folder of all studies.

    Raises:
        UserError: the database that is named cannot be opened.
    """
    return [_kept(name, storage) for name in sorted(_names(storage))]


def _names(storage: str | None) -> Iterator[str]:
    url = of_environment(storage, STORAGE_VARIABLE)
    if not url:
        yield from stored_names()
        return
    import optuna

    yield from (name for name in optuna.get_all_study_names(open_storage(url)) if not is_queue(name))


def _kept(name: str, storage: str | None) -> Kept:
    try:
        stored = open_stored(name, storage)
        status = stored.status()
        return Kept(name, stored.about.goal or "", status.done, status.budget, len(status.running))
    except (UserError, StorageLost) as error:
        return Kept(name, problem=str(error))
