"""Where a trial is within its training, which is told beside the question whether it shall stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


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
