"""Which trials are measured again at the end of a search, in which order, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.measurement import Measurement
from peftsearch.optimize.retiming import run as retiming
from peftsearch.optimize.retiming.run import TURNS, Watch, measure_again, time_left
from peftsearch.optimize.retiming.worker import TimeAgain, retime_task
from peftsearch.optimize.run import run_study
from peftsearch.results.kept import kept_studies
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.confirm_queue import TIME, Repeat, claim_run, enqueue, open_queue, repeat_of
from peftsearch.storage.liveness.worker_identity import this_process
from peftsearch.storage.retiming import read_timed
from peftsearch.study.spec import StudySpec
from peftsearch.workers import job, supervisor
from peftsearch.workers.outcome import How, Outcome
from tests.helpers.in_process import InProcess
from tests.helpers.records import store
from tests.helpers.search import new_search
from tests.helpers.shared_gpu import EPOCHS, QUIET, SEARCHED

CHOSEN = [0, 1, 2, 3]


@dataclass
class Toy:
    """A search on a GPU that two workers shared; what measuring again has said and done."""

    stored: StoredStudy
    spec: StudySpec
    said: list[str] = field(default_factory=list)
    measured: list[float] = field(default_factory=list)
    fault: Callable[[int], None] = lambda count: None

    def time(self, config: TrialConfig, measured: Measurement, epochs: int, stop: Any) -> tuple[float, ...]:
        self.fault(len(self.measured))
        self.measured.append(measured.train_seconds)
        number = next(r.number for r in SEARCHED if r.values["train_seconds"] == measured.train_seconds)
        return (QUIET[number] / EPOCHS,) * epochs

    def go(self, asked: bool | None = None, time: TimeAgain | None = None, seconds: float | None = None) -> Outcome:
        self.said, self.measured = [], []
        engine = InProcess(partial(retime_task, lambda spec, job: time or self.time))
        return measure_again(self.stored, self.spec, self.said.append, asked, engine, seconds)

    def front(self) -> list[int]:
        return [row.record.number for row in open_stored("toy", self.stored.url).front()]


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    return toy_of(tmp_path, monkeypatch)


def toy_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Toy:
    monkeypatch.chdir(tmp_path)
    spec = new_search(tmp_path, monkeypatch).spec
    (tmp_path / "runs").mkdir()
    trials = [replace(r, measurement=replace(r.measurement, **changes)) for r in SEARCHED if r.measurement]
    return Toy(open_stored("toy", store(tmp_path / "runs", trials, every_epoch=False)), spec)


def seconds(numbers: list[int]) -> list[float]:
    """The times of the search, by which the fake tells trials apart."""
    return [SEARCHED[number].values["train_seconds"] for number in numbers]


def test_the_candidates_take_turns_and_the_front_becomes_that_of_quiet_times(toy: Toy) -> None:
    assert toy.front() == [0, 2, 3]
    assert toy.go() == Outcome("done")
    assert toy.measured == seconds(CHOSEN * TURNS)
    assert toy.said == ["measuring the training times of 4 trials again, alone and in turns"]
    assert toy.front() == [0, 1, 3]
    assert [(turn.trial, turn.turn) for turn in read_timed(toy.stored.study)] == [
        (trial, turn) for trial in CHOSEN for turn in range(TURNS)
    ]


def test_what_is_measured_is_not_measured_again(toy: Toy) -> None:
    toy.go()
    assert toy.go() == Outcome("done")
    assert (toy.said, toy.measured) == ([], [])
    assert len(toy.stored.records()) == len(SEARCHED)


def test_the_queue_is_in_no_list_of_studies(toy: Toy) -> None:
    toy.go()
    assert [found.name for found in kept_studies(toy.stored.url)] == ["toy"]


def test_it_can_be_turned_off(toy: Toy) -> None:
    assert toy.go(asked=False) == Outcome("done")
    assert (toy.said, toy.measured, toy.front()) == ([], [], [0, 2, 3])


def test_a_cpu_measures_nothing_again_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_of(tmp_path, monkeypatch, clock="processor")
    toy.go()
    assert (toy.said, toy.measured) == ([], [])
    toy.go(asked=True)
    assert toy.measured == seconds([0, 2, 3] * TURNS)  # no neighbour has made trial 1 slower than trial 2


def test_a_failure_leaves_the_front_as_it_was_and_is_said_in_one_line(toy: Toy) -> None:
    def fault(count: int) -> None:
        if count == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")

    toy.fault = fault
    assert toy.go() == Outcome("done")
    assert toy.said[1:] == [
        "the front keeps the training times of the search: trial 2: RuntimeError: CUDA out of memory. Tried to "
        "allocate 2 GiB"
    ]
    assert toy.front() == [0, 2, 3]
    toy.fault = lambda count: None
    toy.go()  # the same command goes on with what is missing
    assert toy.front() == [0, 1, 3]


def test_data_that_is_gone_leaves_the_front_as_it_was(toy: Toy) -> None:
    def gone(*_: Any) -> TimeAgain:
        raise UserError("rows.csv is gone")

    engine = InProcess(partial(retime_task, gone))
    assert measure_again(toy.stored, toy.spec, toy.said.append, None, engine) == Outcome("done")
    assert toy.said[1:] == ["the front keeps the training times of the search: rows.csv is gone"]
    assert toy.front() == [0, 2, 3]


def test_when_the_time_is_up_the_first_turn_of_each_trial_is_still_done(toy: Toy) -> None:
    queue = open_queue(toy.stored.study, TIME)
    config = SEARCHED[0].config
    assert config is not None
    enqueue(queue, [(config, Repeat(trial, turn=turn)) for turn in range(TURNS) for trial in CHOSEN])
    watch = Watch(queue, until=0.0, seen=frozenset())
    watch([])
    left = []
    while (claimed := claim_run(queue, this_process())) is not None:
        left.append(repeat_of(claimed[0]))
    assert [(repeat.trial, repeat.turn) for repeat in left] == [(trial, 0) for trial in CHOSEN]


TOO_LATE = (
    "the front keeps the training times of the search: the time limit leaves no time to measure all of them again,"
    " which peftsearch optimize --study toy --trials 5 does"
)


def test_a_time_limit_ends_it_even_in_the_first_turn(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    for module in (job, supervisor):
        monkeypatch.setattr(module, "time", clock)

    def too_slow(config: TrialConfig, measured: Measurement, epochs: int, stop: Any) -> tuple[float, ...]:
        if len(toy.measured) == 2:
            now[0] = 41.0
            stop()
        return toy.time(config, measured, epochs, stop)

    assert toy.go(time=too_slow, seconds=40.0) == Outcome("done")
    assert toy.said[1:] == [TOO_LATE]
    assert [turn.trial for turn in read_timed(toy.stored.study)] == [0, 1]
    assert toy.front() == [0, 2, 3]
    assert toy.go() == Outcome("done")
    assert toy.measured == seconds([2, 3, *CHOSEN, *CHOSEN])
    assert toy.front() == [0, 1, 3]


def test_what_a_worker_has_no_time_to_begin_with_is_not_begun(toy: Toy) -> None:
    assert toy.go(seconds=14.0) == Outcome("done")
    assert (toy.said, toy.measured) == ([TOO_LATE], [])


def test_a_search_with_a_time_limit_is_late_by_a_twentieth_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiming, "time", SimpleNamespace(monotonic=lambda: 1600.0))
    assert time_left(began=1000.0, limit=600.0, asked=None) == pytest.approx(30.0)
    assert time_left(began=1000.0, limit=900.0, asked=None) == pytest.approx(345.0), "it had ended before"
    assert time_left(began=1000.0, limit=None, asked=None) is None
    assert time_left(began=1000.0, limit=600.0, asked=True) is None, "who asks for it gives it the time"


def test_nothing_is_asked_of_a_study_that_does_not_count_seconds(toy: Toy) -> None:
    toy.stored = replace(toy.stored, objectives=("macro_f1", "trainable_parameters"))
    toy.go(asked=True)
    assert toy.said == ["no training times are measured again: train_seconds is no objective of the study"]


def test_another_search_on_the_way_puts_it_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy = toy_of(tmp_path, monkeypatch)
    toy.stored.study.ask()
    toy.go()
    assert toy.said == ["training times are not measured again now: trial 5 is trained by another search"]
    assert toy.measured == []


@pytest.mark.parametrize(
    ("how", "given", "written", "workers", "asked"),
    [
        ("done", None, True, None, [None]),
        ("flat", None, True, None, [None]),
        ("timeout", True, True, None, [True]),
        ("done", None, False, None, [False]),
        ("done", True, False, None, [True]),  # what is given comes before what the study says
        ("done", True, True, 0, [False]),  # who only watches a search may have neither its data nor its GPU
        ("interrupted", True, True, None, []),
        ("errors", None, True, None, []),
    ],
)
def test_a_search_that_is_to_train_nothing_more_ends_with_it(
    toy: Toy,
    monkeypatch: pytest.MonkeyPatch,
    how: How,
    given: bool | None,
    written: bool,
    workers: int | None,
    asked: list[bool | None],
) -> None:
    spec = replace(toy.spec, search=replace(toy.spec.search, retime=written))
    found: list[bool | None] = []

    def measured(stored: Any, spec: Any, say: Any, asked: bool | None, seconds: float | None) -> Outcome:
        found.append(asked)
        assert seconds is None if asked else seconds == pytest.approx(1.05 * 3600, abs=60)
        return Outcome("done")

    for name in ("begin", "found"):
        monkeypatch.setattr(f"peftsearch.optimize.run.{name}", lambda *_, **__: toy.stored)
    monkeypatch.setattr("peftsearch.optimize.run.run_workers", lambda *_, **__: Outcome(how))
    monkeypatch.setattr("peftsearch.optimize.run.measure_again", measured)
    results = run_study(spec, trials=99, timeout=3600.0, workers=workers, retime=given)
    assert (results.outcome, found) == (Outcome(how), asked)
