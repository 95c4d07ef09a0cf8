"""What a worker does with the trials of a search: claims one with a new configuration, trains it, tells its result."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.measurement import EpochReport
from peftsearch.core.trained import TrainedModel
from peftsearch.search import execute
from peftsearch.search.calibration import Calibration, Device, RealDevice
from peftsearch.search.ehvi.counting import Counter
from peftsearch.search.execute import Train
from peftsearch.search.flatness import Flatness, flatness_of
from peftsearch.search.samplers import make_sampler
from peftsearch.storage.alike.data import check_search_data
from peftsearch.storage.alike.packages import check_packages
from peftsearch.storage.artifacts.settle import check_place
from peftsearch.storage.artifacts.shelf import Shelf
from peftsearch.storage.claims import claim_new
from peftsearch.storage.prepare import check_space
from peftsearch.storage.records import ended_records, records, without_collector
from peftsearch.storage.times.scale import TIMED_IN
from peftsearch.study.spec import StudySpec
from peftsearch.study.suggest import misfit, suggest
from peftsearch.tracking.follow import Ending, Trackers
from peftsearch.workers.job import Job
from peftsearch.workers.task import Alive

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import Trial

    from peftsearch.data.base import TextData

Report = Callable[[EpochReport], None]

Trainer = Callable[[StudySpec, Job], Train]
"""Makes the function that trains a trial of the study, once for all of a worker's trials."""

Timer = Callable[[StudySpec, Job], Device]
"""Makes what is timed before a worker's first trial."""


@dataclass(frozen=True)
class SearchTask:
    """The trials of a search; `train` trains one of them.

    Attributes:
        shelf: keeps the front's weights for all machines; None where each machine keeps its own.
        device: what is timed before the first trial; None to time nothing.
    """

    study: Study
    spec: StudySpec
    job: Job
    train: Train
    shelf: Shelf | None = None
    device: Device | None = None

    def claim(self, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
        if self.flatness is not None and self.flatness.reached(records(self.study)):
            return None
        draw, fits = partial(suggest, self.spec), partial(misfit, self.spec)
        return claim_new(self.study, self.job.budget, {**worker, **self.timed}, draw, fits, self.job.takes)

    @cached_property
    def timed(self) -> Mapping[str, str]:
        """What the seconds are of the epochs that the worker reports, as it stands on each of its trials."""
        return {TIMED_IN: self.device.timed_in("encoder")} if self.device else {}

    @cached_property
    def calibration(self) -> Calibration | None:
        lock = self.job.run_folder.root / ".calibration.lock"
        return Calibration(self.study, self.device, lock) if self.device else None

    @cached_property
    def flatness(self) -> Flatness | None:
        return flatness_of(self.study, self.job.flat_from)

    @cached_property
    def trackers(self) -> Trackers:
        to_the_log = partial(print, file=sys.stderr, flush=True)
        return Trackers(self.spec.tracking, self.job.name, self.job.run_folder.tracking, to_the_log)

    def run(self, trial: Trial, config: TrialConfig, alive: Alive) -> str | None:
        def train_alive(config: TrialConfig, report: Report, should_stop: Callable[[], bool]) -> TrainedModel:
            return self.train(config, alive.reporting(self.trackers.before(report)), should_stop)

        job = self.job
        if self.calibration:
            self.calibration.before(config, alive.should_stop)
        self.trackers.begin(trial.number, config)
        if self.shelf is not None:
            self.shelf.store.step = alive.step
        try:
            failure = execute.run(
                self.study, trial, config, train_alive, job.pruner, job.run_folder, alive.should_stop, self.shelf
            )
        except Interrupted:
            self.trackers.end(lambda: Ending("interrupted"))
            raise
        self.trackers.end(partial(_ending, self.study, trial.number))
        return failure


def _ending(study: Study, trial: int) -> Ending:
    found = next(record for record in ended_records(study) if record.number == trial)
    return Ending(found.state, found.values, found.measurement)


def search_task(trainer: Trainer, study: Study, spec: StudySpec, job: Job, *, timer: Timer | None = None) -> SearchTask:
    """Load the data, read what the study holds, and give it its sampler.

    Args:
        timer: makes what is timed before the first trial; None to time nothing.

    Raises:
        UserError: the trials in the storage are of another study, this machine's packages are not those of the search,
            or the data or the place for weights cannot be used.
    """
    check_space(study, spec)
    check_packages(study, job.other_packages)
    train = trainer(spec, job)
    known = read_history(study)
    study.sampler = make_sampler(
        job.sampler, job.seed, job.startup_trials, worker=job.index, trials=known, count=Counter(spec, study)
    )
    shelf = Shelf(study, job.run_folder, check_place(study, job.artifacts)) if job.artifacts else None
    return SearchTask(study, spec, job, train, shelf, timer(spec, job) if timer else None)


def real_timer(spec: StudySpec, job: Job) -> Device:
    """The device that this worker trains on."""
    return RealDevice(spec, job.run_folder, job.device, job.exact)


def real_search(study: Study, spec: StudySpec, job: Job) -> SearchTask:
    """The trials of a search, to be trained on the rows that the search was begun with."""
    trainer = partial(real_trainer, check=partial(check_search_data, study))
    return search_task(trainer, study, spec, job, timer=real_timer)


def real_trainer(spec: StudySpec, job: Job, check: Callable[[TextData], None] = lambda _: None) -> Train:
    """Make the function that trains a trial on the study's data, which is loaded once for all trials of this worker.

    Args:
        check: refuses data that are not the study's.

    Raises:
        UserError: the data cannot be used.
    """
    from peftsearch.data.load import data_of_study

    data = data_of_study(spec.data, spec.folder, job.run_folder)
    check(data)  # refused before torch, which takes seconds to import

    import torch

    from peftsearch.training.text_trial import TextTrialResult
    from peftsearch.training.trial import TrialResult, run_trial

    torch.set_num_threads(job.threads)

    def train(config: TrialConfig, report: Report, should_stop: Callable[[], bool]) -> TrialResult | TextTrialResult:
        return run_trial(
            config, data, report, cache=cache_folder().root, device=job.device, should_stop=should_stop,
            cache_size=job.cache_size, exact=job.exact, constraints=spec.constraints,
            paused=job.run_folder.paused_state(config.key()),
        )  # fmt: skip

    return train


def read_history(study: Study) -> int:
    """Read all trials of the study, then take every object that exists by now out of garbage collection.

    Each trial collects garbage before it measures its memory. That takes 0.3 s each time if the garbage collector
    visits the objects of all libraries, and half a second more if it visits those of ten thousand trials.

    Returns:
        The number of trials.
    """
    with without_collector():
        records(study)
        known = len(study.get_trials(deepcopy=False))
    gc.freeze()
    return known
