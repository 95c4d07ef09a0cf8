"""A look at the trials that several readers share, so that what may have changed is read once for all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PAUSE_TIMES, LONGEST_PAUSE = 10, 5.0
"""Who looks again and again pauses for so many times as long as a look takes, and for so many seconds at most. Where
many trials run, each look of each supervisor costs the database as much as a claim."""


@dataclass
class Look:
    """What has been seen since a look began.

    Attributes:
        unended: a storage's own object and the id of a study → the trials that had not ended.
        began: when it began, on the monotonic clock.
    """

    unended: dict[tuple[int, int], list[FrozenTrial]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def pause(self, least: float) -> float:
        """How many seconds to wait before the next look, given how long this one took; at least `least`."""
        return max(least, min(LONGEST_PAUSE, PAUSE_TIMES * (time.monotonic() - self.began)))


_look: ContextVar[Look | None] = ContextVar("look", default=None)


@contextlib.contextmanager
def one_look() -> Iterator[Look]:
    """Within this block and thread, trials that have not ended are read once, all of them at the first reading.

    What has ended is read whenever it is asked for: that costs little.
    """
    look = Look()
    token = _look.set(look)
    try:
        yield look
    finally:
        _look.reset(token)


def present_look() -> Look | None:
    """The look within which this thread is."""
    return _look.get()


def look_again() -> None:
    """Let the next reading within this thread's look be a new one."""
    look = present_look()
    if look is not None:
        look.unended.clear()
