"""Processes that take their steps one at a time, in an order that a seed draws, and may be killed at any of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import Any


class Killed(BaseException):
    """Ends a process at once: nothing that it does on its way out reaches what it shares with others."""


class Interleaved:
    """Threads of which one runs at a time. Each stands for a process and gives its turn away at each of its steps.

    Args:
        rng: says whose turn is next.
        kills: name of a process → the number of the step at which it is killed.
    """

    def __init__(self, rng: random.Random, kills: Mapping[str, int]) -> None:
        self._rng = rng
        self._left = dict(kills)
        self._turns: dict[str, threading.Semaphore] = {}
        self._errors: list[BaseException] = []

    def step(self) -> None:
        """Called by a process before each step that others may see; of other threads, it does nothing."""
        name = threading.current_thread().name
        if name not in self._turns:
            return
        if name in self._left:
            self._left[name] -= 1
            if self._left[name] < 0:
                raise Killed
        chosen = self._rng.choice(sorted(self._turns))
        if chosen != name:
            self._turns[chosen].release()
            self._turns[name].acquire()

    def run(self, processes: Mapping[str, Callable[[], None]]) -> None:
        """Run all processes to their ends, and raise what one of them has raised."""
        threads = [threading.Thread(target=self._run, args=(one,), name=name) for name, one in processes.items()]
        self._turns = {name: threading.Semaphore(0) for name in processes}
        first = self._rng.choice(sorted(self._turns))
        for thread in threads:
            thread.start()
        self._turns[first].release()
        for thread in threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self, process: Callable[[], None]) -> None:
        name = threading.current_thread().name
        self._turns[name].acquire()
        try:
            process()
        except Killed:
            pass
        except BaseException as error:
            self._errors.append(error)
        finally:
            del self._turns[name]
            if self._turns:
                self._turns[self._rng.choice(sorted(self._turns))].release()


class Stepping:
    """Anything whose methods are steps of the process that calls them.

    Args:
        before: is given the name and the arguments of each call that is about to be made.
    """

    def __init__(self, inner: Any, step: Callable[[], None], before: Callable[..., None] = lambda *_: None) -> None:
        self._inner = inner
        self._step = step
        self._before = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._step()
            self._before(name, *args)
            return found(*args, **kwargs)

        return call
