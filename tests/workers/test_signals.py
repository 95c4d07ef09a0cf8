from __future__ import annotations

import signal
import threading

import pytest

from peftsearch.workers.signals import REQUESTS_TO_END, requests_to_end


@pytest.mark.parametrize("number", REQUESTS_TO_END)
def test_a_request_to_end_reaches_the_handler(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    calls: list[signal.Signals] = []
    with requests_to_end(calls.append):
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert calls == [number, number]
    assert signal.getsignal(number) is before


def test_a_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def within() -> None:
        with requests_to_end(lambda _: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=within)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_request_is_heard_that_the_parent_had_held_back() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        heard: list[signal.Signals] = []
        with requests_to_end(heard.append):
            signal.raise_signal(signal.SIGINT)
        assert heard == [signal.SIGINT]
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
