"""A process that is asked to end: by Ctrl-C, by a scheduler, by a terminal that closes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

REQUESTS_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def requests_to_end(handler: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Call `handler` with each signal to end, instead of ending. Only a main thread can receive signals."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        handler(signal.Signals(number))

    numbers = REQUESTS_TO_END if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
