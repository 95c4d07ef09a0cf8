"""What a worker is told to do, and what it says in the end: one line of JSON each way, through a pipe.

Not on the command line, where everybody on the machine can read it: the storage's URL may hold a password.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from peftsearch.core.config import SearchConfig
from peftsearch.core.errors import UserError
from peftsearch.core.run_folder import RunFolder
from peftsearch.study.overrides import Overrides

Ending = Literal["budget", "interrupted", "exhausted", "errors", "refused"]


@dataclass(frozen=True)
class Job:
    """One worker's part of a search.

    Attributes:
        study: the study file, or a name that `load_study` knows.
        name: the study's name in the storage.
        storage: its URL.
        budget: trials in the study altogether, those of earlier runs among them.
        folder: of this study's caches and kept weights, `runs/NAME`.
        overrides: what stands in for the study file's data and backbones.
        sampler: a key of `SAMPLERS`.
        pruner: a key of `PRUNERS`.
        seed: of the sampler.
        since: unix time at which this search began; errors of earlier ones do not stop it.
        index: 0 for the first worker.
        exact: train without what changes results for the sake of speed; see `training.trial.run_trial`.
        cache_size: bytes that frozen prefixes' states may take; None for a quarter of the free disk space.
        threads: for this worker's computations on the CPU.
    """

    study: str
    name: str
    storage: str
    budget: int
    folder: str
    overrides: Overrides = field(default_factory=Overrides)
    sampler: str = SearchConfig.sampler
    pruner: str = SearchConfig.pruner
    seed: int = SearchConfig.seed
    startup_trials: int = SearchConfig.startup_trials
    since: float = 0.0
    exact: bool = False
    cache_size: int | None = None
    index: int = 0
    threads: int = 1
    device: str = "auto"

    @property
    def run_folder(self) -> RunFolder:
        return RunFolder(Path(self.folder))

    def for_worker(self, index: int, threads: int) -> Job:
        return replace(self, index=index, threads=threads)

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> Job:
        data = json.loads(line)
        return cls(**{**data, "overrides": Overrides.from_dict(data.get("overrides", {}))})

    def __repr__(self) -> str:
        return f"Job(study={self.study!r}, name={self.name!r}, budget={self.budget}, index={self.index})"


@dataclass(frozen=True)
class WorkerReport:
    """Why a worker ended: it found nothing left to claim, or was stopped, or cannot go on (`message` says why)."""

    ending: Ending
    message: str = ""

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> WorkerReport | None:
        """None if the worker died before it could say anything."""
        return cls(**json.loads(line)) if line.strip() else None

    @classmethod
    def refused(cls, error: UserError) -> WorkerReport:
        return cls("refused", str(error))
