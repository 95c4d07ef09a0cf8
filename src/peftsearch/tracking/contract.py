"""What a tracker is: something outside that gets one run for each trial, with its settings, curve and results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True)
class Beginning:
    """A trial that begins.

    Attributes:
        study: the study's name in the storage.
        trial: the trial's number.
        settings: name → value: backbone, method, the method's hyperparameters and the `training:` section.
        folder: where a tracker keeps its files; it need not exist yet.
    """

    study: str
    trial: int
    settings: Mapping[str, Any]
    folder: Path

    @property
    def name(self) -> str:
        return f"{self.study}-{self.trial}"


class Run(Protocol):
    """One trial in a tracker. Whatever it raises is told once and stops the tracker, never the trial."""

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Take a point of the curves; 1 is the first epoch. A trial that runs out of memory begins again at 1."""

    def end(self, state: str, values: Mapping[str, float]) -> None:
        """Take the objectives and the best epoch's metrics, of which a trial that is not `complete` has none."""


@dataclass(frozen=True)
class Tracker:
    """A line of the table of trackers.

    Attributes:
        package: the package that must be installed, by its import name.
        start: begins a run.
    """

    package: str
    start: Callable[[Beginning], Run]
