"""How far the runs of `confirm` are, and the estimate of the time left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from peftsearch.confirm.plan import Run
from peftsearch.confirm.progress import ConfirmedRun, Progress, RunsSoFar, seconds_in_the_search
from peftsearch.core.points import Point
from peftsearch.storage.confirm_queue import REFERENCE_POINT, Repeat, claim_run, enqueue, open_queue
from peftsearch.storage.confirmations import SeedRun, now, write_run
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.records import records
from tests.helpers.confirming import Confirming, confirming
from tests.helpers.records import config

EXPECTED = {Point(0): 10.0, Point(1): 40.0}


@dataclass
class Queue:
    """Runs of a queue that end when a test says so, and what was told of them."""

    toy: Confirming
    runs: Sequence[Run]
    ended: list[ConfirmedRun] = field(default_factory=list)
    states: list[RunsSoFar] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.study, self.queue = self.toy.stored.study, open_queue(self.toy.stored.study)
        enqueue(self.queue, [(run.config, run.repeat) for run in self.runs])
        self.tell = Progress(
            self.study, self.queue, self.runs, EXPECTED, self.ended.append, self.states.append
        )  # fmt: skip

    def begin(self) -> None:
        assert claim_run(self.queue, identity("cpu"))

    def end(self, number: int, seconds: float) -> None:
        """End the run with this number in the queue, which took so many seconds."""
        run = self.runs[number]
        write_run(self.study, SeedRun(run.repeat.trial, run.config.training.seed, seconds, now()))
        self.queue.tell(number, [0.9, 10.0, 1.0])

    def look(self) -> RunsSoFar:
        self.tell(records(self.queue))
        return self.states[-1]


def run(trial: int, seed: int, *, alone: bool = False) -> Run:
    made = config("lora")
    return Run(replace(made, training=replace(made.training, seed=seed)), Repeat(trial, alone=alone))


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Confirming:
    return confirming(tmp_path, monkeypatch)


def test_the_time_left_is_that_of_the_search_at_the_pace_so_far(toy: Confirming) -> None:
    queue = Queue(toy, [run(0, 43), run(1, 43), run(0, 44)])
    queue.begin()
    before = queue.look()
    assert (before.done, before.total, before.left) == (0, 3, None)
    assert [(repeat.trial, record.state) for repeat, record in before.running] == [(0, "running")]
    queue.end(0, seconds=20.0)
    after = queue.look()
    assert (after.done, after.running, after.left) == (1, (), 2 * (40.0 + 10.0))
    assert [(done.run.trial, done.place, done.total, done.left) for done in queue.ended] == [(0, 1, 3, 100.0)]
    queue.begin()
    queue.end(1, seconds=30.0)
    assert queue.look().left == pytest.approx(10.0 * (20 + 30) / (10 + 40))
    queue.begin()
    queue.end(2, seconds=5.0)
    assert (queue.look().left, len(queue.ended)) == (0.0, 3)


def test_workers_share_the_runs_but_for_those_that_are_trained_alone(toy: Confirming) -> None:
    runs = [run(0, 43), run(1, 43), run(1, 44), run(1, 45), run(0, 44, alone=True)]
    queue = Queue(toy, runs)
    queue.begin()
    queue.end(0, seconds=10.0)
    queue.begin()
    queue.begin()
    left = queue.look().left
    assert left == pytest.approx((40 + 40 + 40) / 2 + 10, abs=1)


def test_a_search_s_seconds_are_those_of_the_whole_trial_where_they_are_known(toy: Confirming) -> None:
    found = toy.stored.records()
    whole = seconds_in_the_search(toy.stored, found)
    assert whole.keys() == {*map(Point, range(4)), REFERENCE_POINT}
    assert all(whole[r.point] >= r.measurement.train_seconds for r in found if r.measurement)
    longer = replace(found[2], ended=found[2].started and found[2].started.replace(year=3000))
    assert seconds_in_the_search(toy.stored, [longer])[Point(2)] > 1e9
