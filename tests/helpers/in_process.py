"""An engine whose workers run in this process: each has ended by the time that it is started."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peftsearch.storage.takes import Takes
from peftsearch.workers.engine import Ended
from peftsearch.workers.job import Job
from peftsearch.workers.task import MakeTask
from peftsearch.workers.worker import run_job


@dataclass
class EndedWorker:
    """A worker that has done its job."""

    index: int
    ended: Ended

    def identity(self) -> Mapping[str, Any] | None:
        return None

    def poll(self) -> Ended | None:
        return self.ended

    def interrupt(self) -> None:
        return

    def kill(self) -> None:
        return


@dataclass
class InProcess:
    """Does each job at once, and remembers the jobs."""

    make: MakeTask
    room: int = 1
    jobs: list[Job] = field(default_factory=list)

    def capacity(self, holding: int, training: int) -> int:
        return self.room

    def takes(self, index: int) -> Takes:
        return "all"

    def start(self, job: Job, index: int) -> EndedWorker:
        self.jobs.append(job)
        return EndedWorker(index, Ended(run_job(job.for_worker(index, 1), threading.Event(), self.make)))

    def close(self) -> None:
        return
