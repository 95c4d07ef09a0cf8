"""Tells trackers what happens to a worker's trials. A tracker that fails is told of once, and never fails a trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import one_line
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.secrets import hide_secrets
from peftsearch.tracking.contract import Beginning, Run
from peftsearch.tracking.table import TRACKERS


@dataclass(frozen=True)
class Ending:
    """How a trial has ended.

    Attributes:
        state: `complete`, `pruned`, `failed` or `interrupted`.
        values: objective → value of a trial that is complete.
    """

    state: str
    values: Mapping[str, float] = field(default_factory=dict)
    measurement: Measurement | None = None


class Trackers:
    """The trackers that a study names, for all trials of one worker.

    Args:
        names: keys of `TRACKERS`.
        study: the study's name in the storage.
        folder: where each tracker has a folder of its own.
        say: gets a line for each tracker that has failed.
    """

    def __init__(self, names: Sequence[str], study: str, folder: Path, say: Callable[[str], None]) -> None:
        self._names = list(names)
        self._study = study
        self._folder = folder
        self._say = say
        self._runs = dict[str, Run]()

    def begin(self, trial: int, config: TrialConfig) -> None:
        """Begin a run of this trial in every tracker that works."""
        self._runs = {}
        for name in list(self._names):
            beginning = Beginning(self._study, trial, settings_of(config), self._folder / name)
            self._attempt(name, partial(self._start, name, beginning))

    def epoch(self, report: EpochReport) -> None:
        """Tell a finished epoch."""
        values = {n: v for n, v in report.to_dict().items() if n != "epoch" and isinstance(v, int | float)}
        for name, run in self._runs.items():
            self._attempt(name, partial(run.epoch, report.epoch, values))

    def before(self, report: Callable[[EpochReport], None]) -> Callable[[EpochReport], None]:
        """`report`, which may raise where the trial is pruned, and before it the trackers."""

        def told(epoch: EpochReport) -> None:
            self.epoch(epoch)
            report(epoch)

        return told

    def end(self, found: Callable[[], Ending]) -> None:
        """Tell how the trial that was begun last has ended, which is only looked up if a tracker wants to know."""
        runs, self._runs = self._runs, {}
        if not runs:
            return
        ending = found()
        measured = dict(ending.measurement.metrics) if ending.measurement else {}
        for name, run in runs.items():
            self._attempt(name, partial(run.end, ending.state, {**measured, **ending.values}))

    def _start(self, name: str, beginning: Beginning) -> None:
        self._runs[name] = TRACKERS[name].start(beginning)

    def _attempt(self, name: str, action: Callable[[], None]) -> None:
        if name not in self._names:
            return
        try:
            action()
        except Exception as error:  # whatever a tracker raises, or its network, concerns no trial
            self._names.remove(name)
            reason = hide_secrets(one_line(f"{type(error).__name__}: {error}"))
            self._say(f"tracking with {name} has failed and stops here; the search goes on: {reason}")


def settings_of(config: TrialConfig) -> dict[str, Any]:
    """Backbone, method, the method's hyperparameters, and what all methods share as `training.NAME`."""
    data = config.to_dict()
    training = {f"training.{name}": value for name, value in data.pop("training").items()}
    return {**data.pop("settings"), **training, **{name: value for name, value in data.items() if value is not None}}
