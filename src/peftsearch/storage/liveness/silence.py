"""For how long nothing was heard of the worker of a running trial, as this process has seen it.

Each machine writes the times of its own clock, and clocks may differ by hours. So no time that another machine has
written is compared with one of this machine: a worker lives if what it writes changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from peftsearch.storage.optuna_access import storage_of
from peftsearch.storage.trial_attributes import heartbeat_of, worker_of

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial

LOOK_SECONDS = 20.0
"""So much counts at most between two looks: this process too may have slept, or waited for the storage."""


@dataclass(frozen=True)
class Silence:
    """How long a trial's worker has been silent.

    Attributes:
        sign: what it has written last; a worker that claims the trial anew writes something else.
        seconds: since that was first seen here.
        heard: whether it has written anything since this process began to listen.
    """

    sign: object
    seconds: float = 0.0
    heard: bool = False


class Listener:
    """Listens to the workers of one study, at each look at its running trials.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._looked: float | None = None
        self._known: dict[int, Silence] = {}

    def listen(self, running: Iterable[FrozenTrial]) -> dict[int, Silence]:
        """The silence of each running trial, by its number, as of now."""
        now = self.clock()
        passed, first = 0.0 if self._looked is None else min(now - self._looked, LOOK_SECONDS), self._looked is None
        before, self._looked = self._known, now
        self._known = {trial.number: _silence(trial, before.get(trial.number), passed, first) for trial in running}
        return dict(self._known)


def _silence(trial: FrozenTrial, before: Silence | None, passed: float, first: bool) -> Silence:
    sign = (dict(worker_of(trial)), heartbeat_of(trial))
    if before is None or before.sign != sign:
        return Silence(sign, 0.0, not first)
    return Silence(sign, before.seconds + passed, before.heard)


_LISTENERS: WeakKeyDictionary[BaseStorage, dict[str, Listener]] = WeakKeyDictionary()
"""By storage, then by the study's name."""


def listener_of(study: Study) -> Listener:
    """The one that listens to the workers of `study` in this process, for as long as its storage is open."""
    return _LISTENERS.setdefault(storage_of(study), {}).setdefault(study.study_name, Listener())
