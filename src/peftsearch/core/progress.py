"""Where a trial is within its training, and what ends it there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from peftsearch.core.errors import OutOfTime
from peftsearch.core.measurement import EpochReport


@dataclass(frozen=True)
class StepReport:
    """One step of training.

    Attributes:
        step: 1 after the first.
        steps: of all epochs together.
        loss: the mean of the epoch's training losses when it was last looked at; None before the first look.
    """

    step: int
    steps: int
    loss: float | None = None


OnStep = Callable[[StepReport], None]


@dataclass(frozen=True)
class ShouldStop:
    """The question whether a trial shall stop, for one who also wants to know where the trial is.

    Training takes any function without arguments as this question; only of this one does it report the steps.

    Attributes:
        ask: whether the trial shall stop.
        on_step: receives every step.
    """

    ask: Callable[[], bool]
    on_step: OnStep

    def __call__(self) -> bool:
        return self.ask()


def on_step_of(should_stop: Callable[[], bool]) -> OnStep:
    """What is to be told of the steps beside the question `should_stop`."""
    return should_stop.on_step if isinstance(should_stop, ShouldStop) else lambda _: None


def ending_after(epochs: int | None, report: Callable[[EpochReport], None]) -> Callable[[EpochReport], None]:
    """`report`, which ends a training after some epochs as the time limit of a search ends it.

    Args:
        epochs: after which of them, under the schedule of all; None for no such end.
    """

    def reporting(found: EpochReport) -> None:
        report(found)
        if epochs is not None and found.epoch >= epochs:
            raise OutOfTime(f"the search had no more time after epoch {epochs}")

    return reporting
