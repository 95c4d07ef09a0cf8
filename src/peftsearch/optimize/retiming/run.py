"""Measures the times of a front again at the end of a search, by one worker that has the GPU to itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.optimize.begin import job_of_queue
from peftsearch.results.times.again import TRAINING, candidates, has_all, measured_by, share_a_device
from peftsearch.storage.confirm_queue import TIME, EndedRun, Repeat, ended_runs, enqueue, open_queue, stop_waiting
from peftsearch.storage.records import Record, records
from peftsearch.storage.retiming import read_timed, seconds_again
from peftsearch.storage.study_attributes import read_every_epoch
from peftsearch.workers.engine import Engine
from peftsearch.workers.local import LocalEngine
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.supervisor import run_workers

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.core.measurement import Clock
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.spec import StudySpec

WORKER = "peftsearch.optimize.retiming.worker"

TURNS = 3
"""How often each trial is measured: all of them once, then all of them again, so that no trial has the quiet minute."""

MOST_SECONDS, MOST_SHARE = 60.0, 0.01
"""After a minute, or a hundredth of what all trials have taken if that is more, no trial gets another turn. The first
turn of each is always finished, since a front does not mix times."""

LATE = 0.05
"""The share of its time limit by which a search may be late, if it was not asked to measure times again."""

LEAST_SECONDS = 15.0
"""With less time than this nothing is measured: the worker has hardly started by then."""

CLOCKS: dict[bool, tuple[Clock, ...]] = {False: ("wall",), True: ("wall", "processor")}
"""Whose times are measured again by default, and whose if the user asks for it: processor seconds hardly depend on
what else the machine does."""


def alone() -> Engine:
    """Where times are measured again: one process of this machine, on its first GPU."""
    return LocalEngine(1, module=WORKER)


def measure_again(
    stored: StoredStudy,
    spec: StudySpec,
    say: Callable[[str], None],
    asked: bool | None = None,
    engine: Engine | None = None,
    seconds: float | None = None,
) -> Outcome:
    """Measure the training times again of all trials that may be on the front, in turns, but for turns done before.

    If one of them cannot be measured, the front keeps the times of the search, and `say` tells why.

    Args:
        stored: the study; no trial of it may be trained meanwhile, on whichever machine.
        spec: the study file as it was searched.
        say: receives each note, one line each.
        asked: whether times are measured again; None to do so where trials that may be on the front shared a GPU.
        engine: where they are measured; by default `alone`.
        seconds: after which it ends even if no trial has had its turn; None for no such limit.

    Returns:
        How it ended: `done` unless it was interrupted, or the storage was lost.
    """
    if asked is False:
        return Outcome("done")
    known = records(stored.study)
    every_epoch, clocks = read_every_epoch(stored.study), CLOCKS[bool(asked)]
    chosen = candidates(known, stored.objectives, every_epoch=every_epoch, clocks=clocks)
    if asked and not chosen:
        say(f"no training times are measured again: {_why_none(stored.objectives)}")
    if has_all(chosen, seconds_again(stored.study)) or not (asked or share_a_device(known, chosen)):
        return Outcome("done")
    done = {(turn.trial, turn.turn) for turn in read_timed(stored.study)}
    runs = [(record, turn) for turn in range(TURNS) for record in chosen if (record.number, turn) not in done]
    running = [record.number for record in known if record.state == "running"]
    if running:
        say(f"training times are not measured again now: trial {running[0]} is trained by another search")
        return Outcome("done")
    if seconds is not None and seconds < LEAST_SECONDS:
        say(f"the front keeps the training times of the search: {_too_late(stored)}")
        return Outcome("done")
    say(f"measuring the training times of {_trials(len(chosen))} again, alone and in turns")
    outcome, why = _measure(stored, spec, runs, say, engine or alone(), seconds)
    if not has_all(chosen, seconds_again(stored.study)):
        say(f"the front keeps the training times of the search: {why}")
    return outcome if outcome.how in ("interrupted", "storage") else Outcome("done")


def time_left(began: float, limit: float | None, asked: bool | None) -> float | None:
    """How many seconds a search may still take to measure times again; None for as many as it needs.

    Args:
        began: when the search did, on the monotonic clock.
        limit: its time limit in seconds, if it has one.
        asked: whether the user asks for it: then it takes what it takes.
    """
    return None if limit is None or asked else began + (1 + LATE) * limit - time.monotonic()


def _measure(
    stored: StoredStudy,
    spec: StudySpec,
    runs: Sequence[tuple[Record, int]],
    say: Callable[[str], None],
    engine: Engine,
    seconds: float | None,
) -> tuple[Outcome, str]:
    """Let one worker do these turns; how that ended, and in words why not all of them are done."""
    queue = open_queue(stored.study, TIME)
    enqueue(queue, [(record.config, _turn(record, turn)) for record, turn in runs if record.config])
    watch = Watch.over(queue, records(stored.study))
    try:
        job = job_of_queue(stored, spec, queue)
        outcome = run_workers(queue, job, engine, on_tick=watch, timeout=seconds, say=say)
    except UserError as error:
        outcome = Outcome("errors", str(error))
    finally:
        stop_waiting(queue, "the call that wanted it has ended")
    if outcome.how == "timeout":
        return outcome, _too_late(stored)
    failed = [f"trial {run.run.trial}: {run.run.failure['message']}" for run in watch.failed() if run.run.failure]
    return outcome, (failed or [outcome.message or "not all of them were measured again"])[0]


def _turn(record: Record, turn: int) -> Repeat:
    measured = measured_by(record)
    assert measured is not None, "a candidate has measured something"
    return Repeat(record.number, measured.threads, bool(measured.exact), alone=True, turn=turn)


@dataclass(frozen=True)
class Watch:
    """Ends the turns once one has failed or the time is up; called about once a second.

    Attributes:
        until: when the time is up, on the monotonic clock.
        seen: the numbers of the queue's trials that had ended before.
    """

    queue: Study
    until: float
    seen: frozenset[int]

    @classmethod
    def over(cls, queue: Study, searched: Sequence[Record]) -> Watch:
        spent = sum(measured.duration for record in searched if (measured := measured_by(record)))
        until = time.monotonic() + max(MOST_SECONDS, MOST_SHARE * spent)
        return cls(queue, until, frozenset(run.number for run in ended_runs(queue)))

    def __call__(self, _: Sequence[Record]) -> None:
        if self.failed():
            stop_waiting(self.queue, "another trial cannot be measured, so that none needs to be")
        elif time.monotonic() > self.until:
            stop_waiting(self.queue, "the time for measuring again is up", lambda repeat: repeat.turn > 0)

    def failed(self) -> list[EndedRun]:
        return [run for run in ended_runs(self.queue) if run.run.failure and run.number not in self.seen]


def _why_none(objectives: Sequence[str]) -> str:
    if TRAINING not in objectives:
        return f"{TRAINING} is no objective of the study"
    return "no finished trial that may be on the front trains an encoder"


def _too_late(stored: StoredStudy) -> str:
    again = f"peftsearch optimize --study {stored.name} --trials {stored.status().done}"
    return f"the time limit leaves no time to measure all of them again, which {again} does"


def _trials(count: int) -> str:
    return f"{count} trial{'' if count == 1 else 's'}"
