"""Optuna's database storage with a memory: what has ended is read once, and only what is asked for is read anew.

Optuna's own memory (`optuna.storages.get_storage`) reads every trial that has not ended, whole, whichever trials it is
asked for: with 200 workers, 200 trials and their curves after each epoch of each worker. No public call of Optuna 5.0
reads the trials that have ended since; `RDBStorage._get_trials`, which its own memory calls, does.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Collection, Container, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from peftsearch.storage.connection.looking import look_again, present_look

ENDED = frozenset(state for state in TrialState if state.is_finished())


@dataclass
class Memory:
    """What is known of one study.

    Attributes:
        ended: id → trial, of those that were seen to have ended. They never change.
        in_order: the same trials by number.
        reached: the largest id in `ended`.
        unsettled: ids below `reached` that may be those of trials that have not ended.
        ids: number of a trial → its id.
        directions: the study's.
    """

    ended: dict[int, FrozenTrial] = field(default_factory=dict)
    in_order: list[FrozenTrial] = field(default_factory=list)
    reached: int = -1
    unsettled: set[int] = field(default_factory=set)
    ids: dict[int, int] = field(default_factory=dict)
    directions: list[StudyDirection] | None = None

    def learn(self, read: Collection[FrozenTrial], *, whole: bool) -> None:
        """Take note of trials that were read.

        Args:
            whole: whether the study has no other trials than these and those in `ended`. Otherwise an id between them
                may be that of a trial that has not ended, or of another study's trial.
        """
        ended = {trial._trial_id: trial for trial in read if trial.state.is_finished()}
        self.ids.update((trial.number, trial._trial_id) for trial in read)
        before, self.reached = self.reached, max(self.reached, *ended, -1)
        if whole:
            self.unsettled = {trial._trial_id for trial in read if trial._trial_id not in ended}
        else:
            self.unsettled.update(range(before + 1, self.reached + 1))
        self.unsettled.difference_update(ended)
        if ended:
            self.ended |= ended
            self.in_order = sorted(self.ended.values(), key=_number)


class RememberingStorage(RDBStorage):
    """Reads a trial that has ended once, and others only where trials in their states are asked for.

    The trials that it returns without `deepcopy` are its own: one object for each trial that has ended, for good.

    Nobody waits for the database with the memory's lock: Optuna asks for a trial in the middle of a transaction, and
    behind a pool of connections whoever reads would wait for the connection of whoever waits for the lock.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Optuna closes a session after each commit, so that marking what it has read as outdated only takes time: of
        # reading 1,000 trials 0.04 of 0.39 seconds.
        self.scoped_session.remove()
        self.scoped_session.configure(expire_on_commit=False)
        self._memories: dict[int, Memory] = {}
        self._memory_lock = threading.Lock()
        self._read_lock = threading.Lock()

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        wanted = {state for state in TrialState if states is None or state in states}
        look = None if wanted <= ENDED else present_look()
        if look is None:
            found = self._read(study_id, wanted)
        else:
            if (id(self), study_id) not in look.trials:
                look.trials[id(self), study_id] = self._read(study_id, set(TrialState))
            found = _in_states(look.trials[id(self), study_id], wanted)
        return copy.deepcopy(found) if deepcopy else found

    def _read(self, study_id: int, wanted: Set[TrialState]) -> list[FrozenTrial]:
        """The trials in these states by number, read as far as they are not in the memory."""
        whole = not wanted.isdisjoint(ENDED) and not wanted <= ENDED
        # Whichever of those that have ended are wanted, all are read, so that none is read again.
        asked = None if whole else wanted if wanted.isdisjoint(ENDED) else ENDED
        with self._read_lock:
            with self._memory_lock:
                memory = self._memories.setdefault(study_id, Memory())
                unsettled = set(memory.unsettled)
            read = self._get_trials(study_id, asked, unsettled, memory.reached)
            with self._memory_lock:
                memory.learn(read, whole=whole)
                ended = _in_states(memory.in_order, wanted & ENDED, all_states=ENDED)
        unended = _in_states(read, wanted - ENDED)
        return sorted([*ended, *unended], key=_number) if unended else ended

    def get_trial(self, trial_id: int) -> FrozenTrial:
        with self._memory_lock:
            known = next((m.ended[trial_id] for m in self._memories.values() if trial_id in m.ended), None)
        return known or super().get_trial(trial_id)

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        with self._memory_lock:
            known = self._memories.setdefault(study_id, Memory()).ids.get(trial_number)
        return super().get_trial_id_from_study_id_trial_number(study_id, trial_number) if known is None else known

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        with self._memory_lock:
            memory = self._memories.setdefault(study_id, Memory())
        if memory.directions is None:
            memory.directions = super().get_study_directions(study_id)
        return memory.directions

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._once((id(self), study_id, "user"), partial(super().get_study_user_attrs, study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._once((id(self), study_id, "system"), partial(super().get_study_system_attrs, study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_user_attr(study_id, key, value)
        look_again()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        super().set_study_system_attr(study_id, key, value)
        look_again()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        created = self._create_new_trial(study_id, template_trial)
        with self._memory_lock:
            self._memories.setdefault(study_id, Memory()).ids[created.number] = created._trial_id
        return created._trial_id

    def delete_study(self, study_id: int) -> None:
        super().delete_study(study_id)
        with self._memory_lock:
            self._memories.pop(study_id, None)

    @staticmethod
    def _once(whose: tuple[int, int, str], read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Attributes of a study as this thread's look has seen them, or sees them now."""
        look = present_look()
        if look is None:
            return read()
        if whose not in look.attributes:
            look.attributes[whose] = read()
        return copy.deepcopy(look.attributes[whose])


def _in_states(
    trials: Sequence[FrozenTrial], wanted: Set[TrialState], all_states: Set[TrialState] = frozenset(TrialState)
) -> list[FrozenTrial]:
    """Those in these states, of trials that are in one of `all_states`: of long studies, each look costs."""
    return list(trials) if wanted >= all_states else [trial for trial in trials if trial.state in wanted]


def _number(trial: FrozenTrial) -> int:
    return trial.number
