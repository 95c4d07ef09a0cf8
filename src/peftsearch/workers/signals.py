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
    """Call `handler` with each signal to end, instead of ending. Only a main thread can receive signals.

    They are let through even if the process that started this one held them back, as Ray's processes do with SIGINT.
    """

    def on_signal(number: int, frame: FrameType | None) -> None:
        handler(signal.Signals(number))

    numbers = REQUESTS_TO_END if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, on_signal) for number in numbers}
    held_back = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)
        for number, previous in before.items():
            signal.signal(number, previous)
