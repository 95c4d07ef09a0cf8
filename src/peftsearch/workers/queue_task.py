"""What a worker does with the runs of a queue (`storage.confirm_queue`): claims one, does it, tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.search.execute import told
from peftsearch.storage.confirm_queue import Repeat, claim_run, repeat_of
from peftsearch.workers.task import Alive

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

DoRun = Callable[["Trial", TrialConfig, Repeat, Alive], Sequence[float]]
"""Does a claimed run, writes what it has found onto the searched study, and returns the value of each objective."""


@dataclass(frozen=True)
class QueueTask:
    """The runs of a queue.

    Attributes:
        queue: the study that holds them.
        do: does one of them. It keeps what it finds before the run is told: if the process is killed in between, the
            run is repeated.
        folder: where its files are written.
    """

    queue: Study
    do: DoRun
    folder: Path

    def claim(self, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
        return claim_run(self.queue, worker)

    def run(self, trial: Trial, config: TrialConfig, alive: Alive) -> str | None:
        def do_and_tell() -> None:
            from optuna.trial import TrialState

            values = self.do(trial, config, repeat_of(trial), alive)
            self.queue.tell(trial, values, state=TrialState.COMPLETE)

        return told(self.queue, trial, do_and_tell, self.folder)
