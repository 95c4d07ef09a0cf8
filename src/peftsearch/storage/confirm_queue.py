"""The runs of `confirm`, and those that measure times again, as trials of studies of their own.

So workers claim and recover them as they do trials.

Such a study, a queue, lies beside the searched study in its storage, and only says what is to be done: what a run has
found is written onto the searched study (`storage.confirmations`). The queue's name holds a colon, as no name of a
searched study does, and a token that the searched study carries, so that a study that was deleted and searched anew
does not inherit runs.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.points import Point
from peftsearch.storage.claims import claim
from peftsearch.storage.confirmations import SeedRun, now
from peftsearch.storage.database import objective_names, open_study
from peftsearch.storage.liveness.recovery import withdraw
from peftsearch.storage.liveness.worker_identity import is_gone, is_this_process, this_process
from peftsearch.storage.optuna_access import add_waiting_trial, storage_of
from peftsearch.storage.trial_attributes import CONFIG, FAILURE, HIDDEN, REPEATS, failure_kind

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from optuna.trial import FrozenTrial, Trial

QUEUES = {":confirm-": "confirm_queue", ":time-": "timing_queue"}
"""What stands in the name of a queue → the attribute of a searched study that names it."""

CONFIRM, TIME = QUEUES

NOT_RUN: frozenset[str] = HIDDEN | {"interrupted"}
"""Kinds of failure of trials that were never trained to an end, and that another trial has taken the place of."""

REFERENCE = -1
"""Stands for the reference, TF-IDF with logistic regression, where a trial's number is asked for."""

REFERENCE_POINT = Point(REFERENCE)


@dataclass(frozen=True)
class Repeat:
    """What a run of the queue repeats, and under which conditions.

    Attributes:
        trial: the number of the trial in the searched study, or `REFERENCE`.
        threads: the CPU threads to compute with; None for as many as the worker has.
        exact: whether to do without the speed-ups that change results.
        alone: whether no other run is to be trained at the same time, so that its time can be compared.
        by: the process that wants the run.
        cut_after: the epoch after which it ends as the trial did for want of time; None for the configuration's end.
        turn: which of several equal runs it is.
        epoch: the epoch that ends it and whose weights are measured; None for the best one of a whole trial.
    """

    trial: int
    threads: int | None = None
    exact: bool = False
    alone: bool = False
    by: Mapping[str, Any] | None = None
    cut_after: int | None = None
    turn: int = 0
    epoch: int | None = None

    @property
    def point(self) -> Point:
        """The point that it repeats."""
        return Point(self.trial, self.epoch)


def is_queue(name: str) -> bool:
    """Whether a study of this name is a queue, which no list of studies shows."""
    return any(mark in name for mark in QUEUES)


def without_queues(
    storage: BaseStorage,
    added: Callable[[str], Mapping[str, Any]] | None = None,
    seen: Callable[[FrozenTrial], FrozenTrial] | None = None,
    told: Callable[[Mapping[str, Any]], dict[str, Any]] = dict,
) -> BaseStorage:
    """The same storage, whose list of studies has no queues.

    Args:
        added: the name of a study → attributes that the storage shows beside the study's own and does not keep.
        seen: what it shows of a trial.
        told: what it tells of a study's user attributes.
    """
    from peftsearch.storage.connection.patient import PatientStorage

    if not isinstance(storage, PatientStorage):
        return storage
    return storage.showing(lambda name: not is_queue(name), added, seen, told)


def searched_by(queue: Study) -> Study:
    """The searched study whose queue this is."""
    import optuna

    name = next(queue.study_name.partition(mark)[0] for mark in QUEUES if mark in queue.study_name)
    return optuna.load_study(study_name=name, storage=storage_of(queue))


def open_queue(study: Study, mark: str = CONFIRM) -> Study:
    """The queue of a searched study, created if it is not there; `mark` says of which runs."""
    from optuna.samplers import RandomSampler

    named = QUEUES[mark]
    if study.user_attrs.get(named) is None:
        study.set_user_attr(named, f"{study.study_name}{mark}{secrets.token_hex(4)}")
    queue = open_study(storage_of(study), study.user_attrs[named], objective_names(study))
    queue.sampler = RandomSampler()  # it is never asked for anything
    return queue


def enqueue(queue: Study, wanted: Sequence[tuple[TrialConfig, Repeat]]) -> list[int]:
    """Make these runs wait, in this order, and those no longer that an earlier call has left.

    What another living process wants stays. A run that waits already is not enqueued twice.

    Returns:
        The numbers of the trials of the queue that hold the wanted runs.
    """
    waiting = {trial.number: trial for trial in _waiting(queue)}
    found = []
    for config, repeat in wanted:
        there = next((n for n, trial in waiting.items() if is_run(trial, config, repeat)), None)
        found.append(_add(queue, config, repeat) if there is None else there)
    for number, trial in waiting.items():
        if number not in found and _is_left_behind(repeat_of(trial)):
            withdraw(queue, number, "the call that wanted it has ended")
    return found


def stop_waiting(queue: Study, why: str, unwanted: Callable[[Repeat], bool] = lambda _: True) -> None:
    """Let the waiting runs that are `unwanted` wait no longer."""
    for trial in _waiting(queue):
        if unwanted(repeat_of(trial)):
            withdraw(queue, trial.number, why)


def claim_run(queue: Study, worker: Mapping[str, Any]) -> tuple[Trial, TrialConfig] | None:
    """Claim the run that waits longest, if any waits."""
    trial = claim(queue, None, worker)
    return None if trial is None else (trial, TrialConfig.from_dict(trial.user_attrs[CONFIG]))


@dataclass(frozen=True)
class EndedRun:
    """A trial of the queue that has ended.

    Attributes:
        number: in the queue.
        config: what it trained.
        run: what the queue knows of it: which trial and seed, and how it failed, if it did.
    """

    number: int
    config: TrialConfig
    run: SeedRun


def ended_runs(queue: Study) -> list[EndedRun]:
    """Every trial of the queue that has ended, but for those that were never trained or are tried again."""
    from optuna.trial import TrialState

    ended = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
    trials = queue.get_trials(deepcopy=False, states=ended)
    return [_ended(trial) for trial in trials if failure_kind(trial) not in NOT_RUN]


def running_runs(queue: Study) -> dict[int, Repeat]:
    """What each trial of the queue repeats that is trained now, by its number in the queue."""
    from optuna.trial import TrialState

    running = queue.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return {trial.number: repeat_of(trial) for trial in running}


def repeat_of(trial: Trial | FrozenTrial) -> Repeat:
    """What a trial of the queue repeats."""
    return Repeat(**trial.user_attrs[REPEATS])


def is_run(trial: FrozenTrial, config: TrialConfig, repeat: Repeat) -> bool:
    """Whether a trial of the queue is the run of this configuration under these conditions, whoever wants it."""
    there = repeat_of(trial)
    conditions = [(run.point, run.threads, run.exact, run.alone, run.cut_after, run.turn) for run in (there, repeat)]
    return conditions[0] == conditions[1] and TrialConfig.from_dict(trial.user_attrs[CONFIG]) == config


def _ended(trial: FrozenTrial) -> EndedRun:
    config, repeat, failure = TrialConfig.from_dict(trial.user_attrs[CONFIG]), repeat_of(trial), None
    if trial.user_attrs.get(FAILURE):
        failure = {name: trial.user_attrs[FAILURE][name] for name in ("kind", "message")}
    seconds = trial.duration.total_seconds() if trial.duration else 0.0
    known: dict[str, Any] = {"failure": failure, "alone": repeat.alone, "epoch": repeat.epoch}
    run = SeedRun(repeat.trial, config.training.seed, seconds, now(), **known)
    return EndedRun(trial.number, config, run)


def _add(queue: Study, config: TrialConfig, repeat: Repeat) -> int:
    wanted = {**asdict(repeat), "by": this_process()}
    return add_waiting_trial(queue, {CONFIG: config.to_dict(), REPEATS: wanted}, {})


def _waiting(queue: Study) -> list[FrozenTrial]:
    from optuna.trial import TrialState

    return queue.get_trials(deepcopy=False, states=(TrialState.WAITING,))


def _is_left_behind(repeat: Repeat) -> bool:
    """Whether the process that wanted a run has ended, as far as can be seen from here, or is this one."""
    return repeat.by is None or is_this_process(repeat.by) or is_gone(repeat.by) is True
