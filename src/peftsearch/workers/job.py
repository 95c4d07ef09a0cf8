"""What a worker is told, and what it reports at its end: one line of JSON each way, through a pipe.

The command line would show it to everybody on the machine, and the storage's URL may hold a password.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.storage.connection.patience import PATIENCE_SECONDS
from peftsearch.storage.takes import Takes

Ending = Literal["budget", "interrupted", "exhausted", "errors", "refused", "storage"]


@dataclass(frozen=True)
class Job:
    """One worker's part of a search.

    Attributes:
        document: `StudySpec.document`. An edit of the study's file during a search therefore changes nothing.
        path: the study's file; paths in its `data` section are relative to the file's folder.
        name: the study's name in the storage.
        storage: the storage's URL.
        budget: the total of trials in the study, those of earlier searches included; None to train what waits.
        folder: the study's run folder, `runs/NAME`.
        sampler: a key of `SAMPLERS`.
        pruner: a key of `PRUNERS`.
        seed: the sampler's seed.
        startup_trials: the number of trials before the sampler's model is used.
        since: unix time at which this search began; errors of earlier searches do not stop it.
        exact: train without the optimisations that change results slightly; see `training.trial.run_trial`.
        cache_size: the limit of the frozen-prefix cache in bytes; None for a quarter of the free disk space.
        artifacts: where weights are kept for all machines, as `storage.artifacts.settle` says; None for nowhere.
        other_packages: whether the worker's machine may have other versions of packages than the search's first one.
        storage_patience: how many seconds each call waits for a storage that does not answer.
        trial_timeout: the seconds that a trial may go without a step; None for a limit that follows from its steps.
        deadline: unix time at which the search's time limit ends it; None without a limit.
        flat_from: how many trials had ended when a search began that ends once it is flat (`search.flatness`); None for
            one that does not.
        parent: the process that watches over the workers, which is written onto their trials.
        index: the worker's place among the search's workers, from 0.
        threads: the number of CPU threads that this worker computes with.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, …
        takes: which trials this worker takes.
    """

    document: Mapping[str, Any]
    path: str
    name: str
    storage: str
    budget: int | None
    folder: str
    sampler: str
    pruner: str
    seed: int
    startup_trials: int
    since: float
    exact: bool = False
    cache_size: int | None = None
    artifacts: str | None = None
    other_packages: bool = False
    storage_patience: float = PATIENCE_SECONDS
    trial_timeout: float | None = None
    deadline: float | None = None
    flat_from: int | None = None
    parent: Mapping[str, Any] | None = None
    index: int = 0
    threads: int = 1
    device: str = "auto"
    takes: Takes = "all"

    @property
    def run_folder(self) -> RunFolder:
        return RunFolder(Path(self.folder))

    @property
    def is_out_of_time(self) -> bool:
        """Whether the search's time limit has passed."""
        return self.deadline is not None and time.time() >= self.deadline

    def for_worker(self, index: int, threads: int, takes: Takes = "all", device: str | None = None) -> Job:
        """The same job for one of the search's workers; `device` takes precedence over the job's own."""
        return replace(self, index=index, threads=threads, takes=takes, device=device or self.device)

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Job:
        return cls(**json.loads(line))

    def __repr__(self) -> str:
        """Without the storage's URL, which may hold a password."""
        return f"Job(name={self.name!r}, path={self.path!r}, budget={self.budget}, index={self.index})"


@dataclass(frozen=True)
class WorkerReport:
    """Why a worker ended.

    Attributes:
        ending: `budget`: no trial is left to claim; `interrupted`: it was asked to end; `exhausted`: the search space
            holds nothing new; `errors`: too many trials in a row failed; `refused`: the job cannot be done;
            `storage`: the storage is lost, or did not answer for longer than the worker waits.
        message: the reason in words, where `ending` alone does not say it.
        details: the end of the last error's traceback, where `message` is about an error.
    """

    ending: Ending
    message: str = ""
    details: str = field(default="", compare=False)

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> WorkerReport | None:
        """The report in `line`; None if the line is empty, since the worker died before it could report."""
        return cls(**json.loads(line)) if line.strip() else None

    @classmethod
    def refused(cls, error: UserError) -> WorkerReport:
        return cls("refused", str(error))
