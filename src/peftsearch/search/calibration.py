"""Before the first trial of its kind of device, a worker measures what the kind takes for a short piece of work.

Then its seconds can be compared with those of other kinds, whichever of them comes later or is gone by then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted, one_line
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.files.locks import locked_if_free
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.seconds import Timed
from peftsearch.methods.table import ENCODER_METHODS, METHODS, TEXT_METHODS
from peftsearch.storage.times.calibrations import (
    EVALUATION,
    TRAINING,
    WHOLE_PASS,
    Work,
    is_calibrated,
    work_of,
    write_calibration,
)
from peftsearch.study.spec import StudySpec
from peftsearch.study.starting_points.baselines import Baseline
from peftsearch.study.suggest import baseline_config

if TYPE_CHECKING:
    from optuna.study import Study

Ask = Callable[[], bool]

LOOK_SECONDS = 1.0
"""How often a worker that waits for another one asks whether it shall stop."""


class Device(Protocol):
    """What a worker computes with, and how that is timed."""

    @property
    def exact(self) -> bool:
        """Whether its trials do without the speed-ups that change results."""

    def timed_in(self, work: Work) -> str:
        """The kind of its seconds (`core.seconds.timed_in`)."""

    def seconds(self, work: Work, should_stop: Ask) -> Timed:
        """What a short piece of training takes, and one of evaluation: the same on every device."""


@dataclass
class Calibration:
    """Sees to it that a worker's device has been measured before its first trial.

    Attributes:
        lock: a file that the workers of one machine share: they measure one after the other, so that each has the
            machine to itself, and all but the first of a kind need not measure.
        done: the kinds of work for which nothing more is to be measured.
    """

    study: Study
    device: Device
    lock: Path
    done: set[Work] = field(default_factory=set)

    def before(self, config: TrialConfig, should_stop: Ask) -> None:
        """Measure the device unless it is known. What keeps it from being measured is said, and not tried again.

        Raises:
            Interrupted: `should_stop` said so.
        """
        work = work_of(config.method)
        if work in self.done:
            return
        kind = self.device.timed_in(work)
        if not is_calibrated(self.study, work, kind):
            with self._alone(should_stop):
                self._measure(work, kind, should_stop)
        self.done.add(work)

    @contextmanager
    def _alone(self, should_stop: Ask) -> Iterator[None]:
        """Hold the lock. Where its folder cannot be written, as a trial will tell, each worker measures by itself."""
        with suppress(OSError):
            self.lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            with locked_if_free(self.lock, seconds=LOOK_SECONDS) as free:
                if free:
                    yield
                    return
            if should_stop():
                raise Interrupted("stopped while another worker timed the device")

    def _measure(self, work: Work, kind: str, should_stop: Ask) -> None:
        if is_calibrated(self.study, work, kind):
            return
        try:
            timed = self.device.seconds(work, should_stop)
        except Interrupted:
            raise
        except Exception as error:  # the trial itself says what a library cannot do; its time is then compared as it is
            _say(f"{kind} are not measured: {type(error).__name__}: {one_line(error)}")
            return
        if not min(timed.training, timed.evaluation) > 0:  # by a clock that is too coarse; nothing is divided by it
            _say(f"{kind} are not measured: the clock showed {timed.training} and {timed.evaluation} s")
            return
        pieces = {TRAINING: timed.training, EVALUATION: timed.evaluation, WHOLE_PASS: timed.whole_pass}
        write_calibration(self.study, work, kind, pieces, exact=self.device.exact)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class RealDevice:
    """The device of this process, timed on the study's own data.

    Attributes:
        name: `auto`, `cpu`, `cuda`, `cuda:1`, …
    """

    spec: StudySpec
    folder: RunFolder
    name: str
    exact: bool

    def timed_in(self, work: Work) -> str:
        from peftsearch.training.calibration import encoder_seconds_are, text_seconds_are

        return (
            text_seconds_are(exact=self.exact) if work == "texts" else encoder_seconds_are(self.name, exact=self.exact)
        )

    def seconds(self, work: Work, should_stop: Ask) -> Timed:
        from peftsearch.data.load import data_of_study
        from peftsearch.training.calibration import time_encoder, time_texts

        data, config = data_of_study(self.spec.data, self.spec.folder, self.folder), timed_config(self.spec, work)
        if work == "texts":
            return time_texts(TEXT_METHODS[config.method], config.settings, data, should_stop=should_stop)
        return time_encoder(
            config, data, cache=cache_folder().root, device=self.name, exact=self.exact, should_stop=should_stop
        )


def timed_config(spec: StudySpec, work: Work) -> TrialConfig:
    """The configuration that is timed: of the study's starting points of this work, the one that computes most.

    It is the same for all workers of a study. Where full fine-tuning is among its methods, it is that.
    """

    def passes(point: Baseline) -> float:
        return METHODS[point.method].passes(point.settings, spec.training.epochs)

    points = [point for point in spec.baselines if work_of(point.method) == work]
    stepping = [p for p in points if p.method in ENCODER_METHODS and ENCODER_METHODS[p.method].takes_steps]
    return baseline_config(spec, max(stepping or points, key=passes))
