"""The worker that measures times again: a process that claims turns as the worker of a search claims trials.

The local engine starts it as `python -m peftsearch.optimize.retiming.worker`, see `workers.worker`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.measurement import Measurement
from peftsearch.results.times.again import measured_by
from peftsearch.storage.confirm_queue import Repeat, searched_by
from peftsearch.storage.database import objective_names
from peftsearch.storage.records import records
from peftsearch.storage.retiming import write_timed
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job
from peftsearch.workers.queue_task import QueueTask
from peftsearch.workers.task import Alive
from peftsearch.workers.worker import main

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

TimeAgain = Callable[[TrialConfig, Measurement, int, Callable[[], bool]], tuple[float, ...]]
"""A trial's configuration, what it measured, its epochs, and whether to stop → the training seconds of each epoch."""

Timer = Callable[[StudySpec, Job], TimeAgain]
"""Makes the function that measures a turn, once for all of them."""


@dataclass(frozen=True)
class Turns:
    """Measures the turns of a queue, and writes what they find onto the searched study.

    Attributes:
        searched: the study whose trials they measure.
        time: measures one of them.
    """

    searched: Study
    time: TimeAgain

    def __call__(self, _: Trial, config: TrialConfig, turn: Repeat, alive: Alive) -> list[float]:
        record = next(record for record in records(self.searched) if record.number == turn.trial)
        measured = measured_by(record)
        assert measured is not None, "only a trial that has measured something is enqueued"
        seconds = self.time(config, measured, len(record.curve), alive.should_stop)
        write_timed(self.searched, turn.trial, turn.turn, seconds)
        return [record.values.get(name, 0.0) for name in objective_names(self.searched)]


def retime_task(timer: Timer, queue: Study, spec: StudySpec, job: Job) -> QueueTask:
    """Load the data.

    Raises:
        UserError: it cannot be used.
    """
    return QueueTask(queue, Turns(searched_by(queue), timer(spec, job)), job.run_folder.root)


def real_timer(spec: StudySpec, job: Job) -> TimeAgain:
    """Make the function that measures a turn on the data that the search read."""
    from peftsearch.data.load import data_of_study

    data = data_of_study(spec.data, spec.folder, job.run_folder)

    import torch

    from peftsearch.training.compute import chosen_device
    from peftsearch.training.meter import device_name
    from peftsearch.training.retiming.again import epoch_seconds

    def time(
        config: TrialConfig, measured: Measurement, epochs: int, should_stop: Callable[[], bool]
    ) -> tuple[float, ...]:
        torch.set_num_threads(measured.threads or job.threads)
        here = device_name(chosen_device(job.device))
        if here != measured.device:
            raise UserError(f"the search trained on {measured.device}, and this machine has {here}")
        if data.fingerprint != measured.data_fingerprint:
            raise UserError("the data has changed since the search read it")
        return epoch_seconds(
            config, data, measured, epochs, cache=cache_folder().root, device=job.device, should_stop=should_stop
        )

    return time


if __name__ == "__main__":
    main(partial(retime_task, real_timer))
