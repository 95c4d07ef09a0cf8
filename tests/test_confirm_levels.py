"""A fast version of the simulation behind docs/confidence.md: the rule over rows and seeds keeps its level, and the
earlier one over seeds alone did not."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from benchmarks import confirm_levels, one_error
from benchmarks.confirm_levels import DESIGNS, EARLIER, GAP, TRIALS, TRUTH, Design, Figures, World, simulated

CALM = DESIGNS["0.5 points"]


def studies(seeds: int, gap: float, repetitions: int) -> Figures:
    return simulated(lambda rng: confirm_levels.study(rng, 1000, [CALM] * TRIALS, seeds, gap), repetitions)


def test_equal_trials_are_seldom_told_apart_with_ten_seeds() -> None:
    found = studies(seeds=10, gap=0.0, repetitions=40)
    assert found["told apart"] <= 0.1
    assert found["first left out"] <= 0.1
    assert found["truth in the interval"] >= 0.9
    assert found["chance called overstatement"] <= 0.1
    assert found["told apart" + EARLIER] > 0.2
    assert found["some left out" + EARLIER] > 0.7


def test_two_points_are_seen_with_five_seeds_and_do_not_leave_out_the_best() -> None:
    found = studies(seeds=5, gap=GAP, repetitions=30)
    assert found["told apart"] >= 0.4
    assert found["first left out"] == 0
    assert found["others left out"] >= 1


@pytest.mark.parametrize("name", confirm_levels.WITHOUT_CHANCE)
def test_methods_without_chance_are_not_told_apart_by_their_rows(name: str) -> None:
    design = confirm_levels.WITHOUT_CHANCE[name]
    found = simulated(lambda rng: confirm_levels.without_chance(rng, 1000, design), 100)
    assert found["told apart"] <= 0.1
    assert found["told apart" + EARLIER] > 0.9


@pytest.mark.parametrize("design", DESIGNS.values(), ids=list(DESIGNS))
def test_the_planted_truth_is_true(design: Design) -> None:
    world = World(np.random.default_rng(0), 20_000)
    scores = [world.scores(world.runs(design, confirm_levels.level_of(design, TRUTH), 2)).mean for _ in range(5)]
    assert np.mean(scores) == pytest.approx(TRUTH, abs=0.01)


def test_the_table_has_a_line_for_every_rule() -> None:
    named = product(("told apart", "first left out", "some left out"), confirm_levels.RULES)
    figures = {name + rule: 0.05 for name, rule in named}
    row = {"sd between seeds": "1 point", "seeds": 3, "equal": figures, "gap": figures}
    lines = list(confirm_levels.table([row, {"differ in": "75 rows", "equal": figures}]))
    assert lines[2] == "| 1 point | 3 | rows and seeds | 5.0 % | 5.0 % | 5.0 % | 5.0 % |"
    assert len(lines) == 2 + len(confirm_levels.RULES)


def test_each_rule_for_choosing_takes_from_fewer_trials_than_the_one_before_it() -> None:
    for seed in range(20):
        taken = one_error.chosen(np.random.default_rng(seed), 300, (0.0, 0.005, 0.01, 0.02, 0.04, 0.08))
        assert list(taken) == list(one_error.RULES)
        assert list(taken.values()) == sorted(taken.values(), reverse=True)  # a larger set may hold a cheaper trial
