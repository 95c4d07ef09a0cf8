"""The worker of `confirm`: a process that claims runs as the worker of a search claims trials.

The local engine starts it as `python -m peftsearch.confirm.worker`, see `workers.worker`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from peftsearch.confirm.once import TEST, Tested, run_once
from peftsearch.core.config import TrialConfig
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import find_objective
from peftsearch.core.progress import ending_after
from peftsearch.search.execute import Reporter
from peftsearch.storage.confirm_queue import Repeat, searched_by
from peftsearch.storage.confirmations import RowClasses, SeedRun, now, write_run
from peftsearch.storage.database import objective_names
from peftsearch.storage.kept.predictions import write_predictions
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job
from peftsearch.workers.queue_task import QueueTask
from peftsearch.workers.task import Alive
from peftsearch.workers.worker import main

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial


class TrainAndTest(Protocol):
    """A function that trains one configuration under the conditions of `repeat`, and measures it on the test split."""

    def __call__(
        self,
        config: TrialConfig,
        repeat: Repeat,
        report: Callable[[EpochReport], None],
        should_stop: Callable[[], bool],
    ) -> Tested: ...


Tester = Callable[[StudySpec, Job], TrainAndTest]
"""Makes the function that trains a run, once for all of a worker's runs."""


@dataclass(frozen=True)
class ConfirmRuns:
    """Trains and measures the runs of a queue, and writes what they find onto the searched study.

    Attributes:
        queue: the study that holds the runs.
        searched: the study whose trials they repeat.
        train: trains and measures one of them.
        folder: where what they said about each row is kept.
    """

    queue: Study
    searched: Study
    train: TrainAndTest
    folder: RunFolder

    def __call__(self, trial: Trial, config: TrialConfig, repeat: Repeat, alive: Alive) -> list[float]:
        started, report = time.perf_counter(), Reporter(self.queue, trial, config, "none")
        reporting = ending_after(repeat.cut_after, alive.reporting(report))
        tested = self.train(config, repeat, reporting, alive.should_stop)
        self._keep(repeat, config.training.seed, tested, time.perf_counter() - started)
        return [find_objective(name).read(tested.measurement) for name in objective_names(self.queue)]

    def _keep(self, repeat: Repeat, seed: int, tested: Tested, seconds: float) -> None:
        for split, said in (("validation", tested.predictions), (TEST, tested.test_predictions)):
            if said is not None:
                write_predictions(self.folder.seed_predictions(repeat.point, seed, split), said)
        rows = RowClasses.of(tested.test_predictions)
        found = {"measurement": tested.measurement, "test": tested.test, "rows": rows, "alone": repeat.alone}
        found |= {"epoch": repeat.epoch}
        write_run(self.searched, SeedRun(repeat.trial, seed, seconds, now(), **found))  # type: ignore[arg-type]


def confirm_task(tester: Tester, queue: Study, spec: StudySpec, job: Job) -> QueueTask:
    """Load the data.

    Raises:
        UserError: it cannot be used.
    """
    runs = ConfirmRuns(queue, searched_by(queue), tester(spec, job), job.run_folder)
    return QueueTask(queue, runs, job.run_folder.root)


def real_tester(spec: StudySpec, job: Job) -> TrainAndTest:
    """Make the function that trains a run on the data that the search read."""
    from peftsearch.data.load import data_of_study

    data = data_of_study(spec.data, spec.folder, job.run_folder)

    import torch

    def train(
        config: TrialConfig, repeat: Repeat, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> Tested:
        torch.set_num_threads(repeat.threads or job.threads)
        return run_once(
            config, data, cache_folder().root, exact=repeat.exact, device=job.device, cache_size=job.cache_size,
            report=report, should_stop=should_stop, last_epoch=repeat.epoch,
        )  # fmt: skip

    return train


if __name__ == "__main__":
    main(partial(confirm_task, real_tester))
