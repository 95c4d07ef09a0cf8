from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.constraints import Constraint, checks_of
from peftsearch.core.front.pareto import dominates, losses_of
from peftsearch.search.pruning import decide
from peftsearch.storage.kept.front_checkpoints import kept_points
from peftsearch.storage.kept.known_front import GrowingFront
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record
from tests.storage.test_points import OBJECTIVES, drawn

LIMIT = Constraint("train_seconds", 2.0)
STUDIES = 20


def trial(random: np.random.Generator, number: int) -> Record:
    """A trial that has ended: complete, stopped early or failed; some break the constraint, and some are equal."""
    whole = drawn(random if random.random() < 0.8 else np.random.default_rng(number % 3), number)
    state = random.choice(["complete", "complete", "pruned", "failed"])
    if state != "complete":
        return replace(whole, state=state, values={}, measurement=None, so_far=whole.measurement)
    bounds = (LIMIT,) if random.random() < 0.5 else ()
    assert whole.measurement is not None
    return replace(whole, constraints=bounds, checks=checks_of(bounds, whole.measurement))


def studies() -> Iterator[tuple[np.random.Generator, bool, list[list[Record]]]]:
    """Drawn studies: the trials that have ended, by number, as a worker sees more of them each time."""
    for seed in range(STUDIES):
        random = np.random.default_rng(seed)
        trials = [trial(random, number) for number in range(int(random.integers(1, 20)))]
        ends = random.permutation(len(trials))
        looks = sorted({int(look) for look in random.integers(0, len(trials) + 1, 5)})
        yield random, bool(seed % 3), [[trials[place] for place in sorted(ends[:look])] for look in looks]


def values(points: list[Record]) -> list[list[float]]:
    return [[point.values[name] for name in OBJECTIVES] for point in points]


def test_the_known_front_says_of_every_point_what_all_points_say() -> None:
    smaller = 0
    for random, every_epoch, looks in studies():
        growing = GrowingFront(OBJECTIVES, every_epoch=every_epoch)
        for ended in looks:
            every = [p for p in points_of(ended, OBJECTIVES, every_epoch=every_epoch) if p.feasible]
            known = growing.of(ended)
            assert kept_points(known, OBJECTIVES) == kept_points(every, OBJECTIVES)
            assert [point.point for point in known] == [p.point for p in every if p in known]  # the same order
            fresh = points_of([trial(random, 99) for _ in range(5)], OBJECTIVES)
            for whole in (False, True):
                some, all_ = ([p for p in points if not whole or p.epoch is None] for points in (known, every))
                for point in [*every, *fresh]:
                    own = losses_of(values([point]), OBJECTIVES)[0]
                    by, by_all = (dominates(losses_of(values(p), OBJECTIVES), own).any() for p in (some, all_))
                    assert by == by_all
            smaller += len(known) < len(every)
    assert smaller > STUDIES / 2


def test_the_pruner_decides_with_the_known_front_as_with_all_trials() -> None:
    stopped = 0
    for random, every_epoch, looks in studies():
        growing = GrowingFront(OBJECTIVES, every_epoch=every_epoch)
        for ended in looks:
            front = growing.of(ended)
            for _ in range(5):
                whole = drawn(random, 99)
                running = replace(whole, state="running", values={}, measurement=None, curve=whole.curve[:2])
                running = replace(running, so_far=whole.measurement)
                decision = decide("dominated", running, ended, OBJECTIVES, every_epoch=every_epoch)
                assert decision == decide("dominated", running, ended, OBJECTIVES, every_epoch=every_epoch, front=front)
                stopped += decision is not None
    assert stopped > STUDIES


@pytest.mark.parametrize("every_epoch", [True, False])
def test_other_trials_than_last_time_are_looked_at_anew(every_epoch: bool) -> None:
    random = np.random.default_rng(0)
    first, second = ([trial(random, number) for number in range(8)] for _ in range(2))
    growing = GrowingFront(OBJECTIVES, every_epoch=every_epoch)
    growing.of(first)
    for trials in (second, second[:3], []):
        fresh = GrowingFront(OBJECTIVES, every_epoch=every_epoch).of(trials)
        assert [id(point) for point in growing.of(trials)] == [id(point) for point in fresh]
