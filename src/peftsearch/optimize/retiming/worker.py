"""The worker that measures times again: a process that claims turns as the worker of a search claims trials.

The local engine starts it as `python -m peftsearch.optimize.retiming.worker`, see `workers.worker`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.measurement import Measurement
from peftsearch.results.times.again import measured_by
from peftsearch.search.execute import told
from peftsearch.storage.confirm_queue import claim_run, repeat_of, searched_by
from peftsearch.storage.database import objective_names
from peftsearch.storage.records import Record, records
from peftsearch.storage.retiming import write_timed
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job
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
class RetimeTask:
    """The turns of a queue. What they find is written onto the searched study.

    Attributes:
        queue: the study that holds the turns.
        searched: the study whose trials they measure.
        time: measures one of them.
    """

    queue: Study
    searched: Study
    job: Job
    time: TimeAgain

    def claim(self, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
        return claim_run(self.queue, worker)

    def run(self, trial: Trial, config: TrialConfig, alive: Alive) -> str | None:
        def measure_and_tell() -> None:
            from optuna.trial import TrialState

            turn = repeat_of(trial)
            record = self._searched(turn.trial)
            measured = measured_by(record)
            assert measured is not None, "only a trial that has measured something is enqueued"
            seconds = self.time(config, measured, len(record.curve), alive.should_stop)
            write_timed(self.searched, turn.trial, turn.turn, seconds)
            values = [record.values.get(name, 0.0) for name in objective_names(self.queue)]
            self.queue.tell(trial, values, state=TrialState.COMPLETE)

        return told(self.queue, trial, measure_and_tell, self.job.run_folder.root)

    def _searched(self, number: int) -> Record:
        return next(record for record in records(self.searched) if record.number == number)


def retime_task(timer: Timer, queue: Study, spec: StudySpec, job: Job) -> RetimeTask:
    """Load the data.

    Raises:
        UserError: it cannot be used.
    """
    return RetimeTask(queue, searched_by(queue), job, timer(spec, job))


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
