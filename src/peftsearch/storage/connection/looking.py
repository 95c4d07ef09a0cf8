"""A look at a storage that several readers share, so that what may have changed is read once for all of them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

PAUSE_TIMES, LONGEST_PAUSE = 10, 5.0
"""Who looks again and again pauses for so many times as long as a look takes, and for so many seconds at most. Where
many trials run, each look of each supervisor costs the database as much as a claim."""


@dataclass
class Look:
    """What has been seen since a look began.

    Attributes:
        trials: a storage's own object and the id of a study → all of its trials, as they were at one moment.
        attributes: the same, and whose attributes of the study they are (`user` or `system`) → these.
        began: when it began, on the monotonic clock.
    """

    trials: dict[tuple[int, int], list[FrozenTrial]] = field(default_factory=dict)
    attributes: dict[tuple[int, int, str], dict[str, Any]] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def pause(self, least: float) -> float:
        """How many seconds to wait before the next look, given how long this one took; at least `least`."""
        return max(least, min(LONGEST_PAUSE, PAUSE_TIMES * (time.monotonic() - self.began)))


_look: ContextVar[Look | None] = ContextVar("look", default=None)


@contextlib.contextmanager
def one_look() -> Iterator[Look]:
    """Within this block and thread, a study's attributes are read once, and so are its trials as they stand.

    Trials that have ended are read anew where only those are asked for: that costs little.
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
        look.trials.clear()
        look.attributes.clear()
