"""The contract between a worker process and the trials that it is for: those of a search, or the runs of `confirm`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial


@dataclass(frozen=True)
class Alive:
    """How a trial shows that it is alive, and learns that it shall stop.

    Attributes:
        step: to be called when the trial has got on.
        should_stop: to be asked after every step; asking shows that the trial is alive too. Training tells it where it
            is, see `core.progress.ShouldStop`.
    """

    step: Callable[[], None]
    should_stop: Callable[[], bool]

    def reporting(self, report: Callable[[EpochReport], None]) -> Callable[[EpochReport], None]:
        """`report`, with a step for every epoch."""

        def report_alive(epoch: EpochReport) -> None:
            self.step()
            report(epoch)

        return report_alive


class Task(Protocol):
    """What a worker does with the trials of one study; made once for all of them."""

    def claim(self, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
        """A trial that nobody else holds, and its configuration; None if there is none to train.

        Raises:
            SpaceExhausted: the search space holds nothing new.
        """

    def run(self, trial: Trial, config: TrialConfig, alive: Alive) -> str | None:
        """Train a claimed trial and tell how it ended; raises as `search.execute.run` does.

        Returns:
            The kind of its failure; None if it did not fail.
        """


MakeTask = Callable[["Study", StudySpec, Job], Task]
"""Makes the task from an open study, what the job's document describes, and the job."""
