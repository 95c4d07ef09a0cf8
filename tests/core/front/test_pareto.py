from __future__ import annotations

import numpy as np
import pytest

from peftsearch.core.front.pareto import (
    as_losses,
    distances_to_ideal,
    dominates,
    front_of,
    hypervolume,
    losses_of,
    matches,
    non_dominated,
    tiers,
)
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Margin, margin_of
from peftsearch.core.points import Point


def test_maximised_columns_are_turned_round():
    losses = as_losses([[0.9, 100.0], [0.8, 10.0]], ["maximize", "minimize"])
    assert losses.tolist() == [[-0.9, 100.0], [-0.8, 10.0]]
    assert as_losses([], ["maximize", "minimize"]).shape == (0, 2)
    assert losses_of([[0.9, 100.0]], ["macro_f1", "trainable_parameters"]).tolist() == [[-0.9, 100.0]]


def test_dominance_needs_one_strictly_better_objective():
    losses = np.array([[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [0.0, 3.0]])
    assert dominates(losses, np.array([1.0, 2.0])).tolist() == [True, False, False, False]


def test_equal_points_stay_on_the_front():
    losses = np.array([[1.0, 2.0], [1.0, 2.0], [2.0, 1.0], [2.0, 2.0]])
    assert non_dominated(losses).tolist() == [True, True, True, False]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_the_front_is_what_nothing_dominates(objectives: int):
    rng = np.random.default_rng(objectives)
    for size in range(1, 40):
        losses = rng.integers(0, 6, (size, objectives)).astype(float)  # with many ties and equal rows
        expected = [not dominates(losses, point).any() for point in losses]
        assert non_dominated(losses).tolist() == expected


def test_front_of_nothing_is_empty():
    assert non_dominated(np.empty((0, 3))).tolist() == []


def test_hypervolume_by_hand():
    reference = np.array([3.0, 3.0])
    assert hypervolume(np.array([[1.0, 1.0]]), reference) == 4.0
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0]]), reference) == 3.0  # two boxes of 2 that share 1
    assert hypervolume(np.array([[1.0, 2.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0]]), reference) == 3.0
    assert hypervolume(np.array([[0.0, 3.0], [4.0, 0.0]]), reference) == 0.0
    assert hypervolume(np.empty((0, 2)), reference) == 0.0
    assert hypervolume(np.array([[1.0], [2.0]]), np.array([4.0])) == 3.0


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_agrees_with_sampling_and_with_optuna(objectives):
    from optuna._hypervolume import compute_hypervolume

    random = np.random.default_rng(objectives)
    losses, reference = random.random((12, objectives)), np.full(objectives, 0.9)
    exact = hypervolume(losses, reference)
    drawn = random.random((100_000, objectives)) * reference
    covered = np.zeros(len(drawn), dtype=bool)
    for point in losses:
        covered |= (drawn >= point).all(axis=1)
    assert exact == pytest.approx(covered.mean() * reference.prod(), abs=0.01)
    inside = losses[(losses < reference).all(axis=1)]
    assert exact == pytest.approx(compute_hypervolume(inside, reference))


def test_the_knee_is_nearest_to_the_ideal_point_on_axes_scaled_to_the_front():
    front = np.array([[0.0, 1000.0], [0.1, 100.0], [1.0, 0.0]])
    assert distances_to_ideal(front) == pytest.approx([1.0, np.hypot(0.1, 0.1), 1.0])


def test_an_objective_that_does_not_differ_adds_no_distance():
    assert list(distances_to_ideal(np.array([[5.0, 1.0], [5.0, 1.0]]))) == [0.0, 0.0]


NAMES = ("macro_f1", "trainable_parameters", "train_seconds", "throughput")
TOLERANCES = {
    "the default": AS_MEASURED,
    "none": EXACT,
    "F1 too": {"macro_f1": Margin(0.05)},
    "F1 alone": {**EXACT, "macro_f1": Margin(0.05)},
    "a number of seconds": {"train_seconds": Margin(2.0)},
    "a wide one": {"train_seconds": Margin(0.9, relative=True)},
}


def made_points(seed, objectives, size):
    """Points with many ties and equal rows, whose differences are often near a tolerance."""
    random = np.random.default_rng(seed)
    columns = {
        "macro_f1": 0.5 + 0.0125 * random.integers(0, 20, size),
        "trainable_parameters": 10.0 ** random.integers(2, 5, size),
        "train_seconds": np.where(random.random(size) < 0.05, 0.0, 1.05 ** random.integers(0, 15, size)),
        "throughput": 1.04 ** random.integers(0, 9, size),
    }
    return np.column_stack([columns[name] for name in objectives])


@pytest.mark.parametrize("tolerance", TOLERANCES.values(), ids=TOLERANCES)
@pytest.mark.parametrize("objectives", [NAMES[:1], NAMES[2:3], NAMES[:3], NAMES[1:], NAMES], ids=len)
def test_a_front_with_a_tolerance_over_many_sets_of_points(tolerance, objectives):
    """Never empty, the same in any order, part of the plain front, and what is left off is matched by what stays."""
    for seed in range(20):
        random = np.random.default_rng(seed)
        points = made_points(seed, objectives, int(random.integers(1, 40)))
        front = front_of(points, objectives, tolerance)
        assert front.any()
        order = random.permutation(len(points))
        assert (front_of(points[order], objectives, tolerance) == front[order]).all()
        assert (front <= non_dominated(losses_of(points, objectives))).all()
        for point in points[~front]:
            assert matches(points[front], point, objectives, tolerance).any()
        for place in np.flatnonzero(front):
            equal = (points == points[place]).all(axis=1)
            assert front[equal].all()


@pytest.mark.parametrize("objectives", [NAMES[:3], NAMES], ids=len)
def test_no_tolerance_gives_the_plain_front_with_equal_rows(objectives):
    for seed in range(60):
        points = made_points(seed, objectives, 40)
        assert (front_of(points, objectives, EXACT) == non_dominated(losses_of(points, objectives))).all()


@pytest.mark.parametrize("tolerance", [AS_MEASURED, TOLERANCES["F1 too"]], ids=["one", "two"])
def test_with_a_tolerance_on_two_objectives_at_most_no_two_on_the_front_match(tolerance):
    for seed in range(60):
        points = np.unique(made_points(seed, NAMES[:3], 40), axis=0)
        kept = points[front_of(points, NAMES[:3], tolerance)]
        assert all(matches(kept, point, NAMES[:3], tolerance).sum() == 1 for point in kept)


def test_a_trial_that_is_faster_by_noise_alone_is_left_off_the_front():
    points = [[0.972, 4000, 10.19], [0.949, 4000, 10.0], [0.94, 3000, 10.1], [0.93, 4000, 9.0]]
    assert front_of(points, NAMES[:3]).tolist() == [True, False, True, True]
    assert front_of(points, NAMES[:3], EXACT).all()


def test_a_trial_that_is_faster_by_less_than_a_tenth_of_a_second_is_left_off_the_front():
    points = [[0.73, 16170, 0.14], [0.49, 16170, 0.06], [0.48, 16170, 0.02]]
    assert front_of(points, NAMES[:3]).tolist() == [True, False, True]
    assert front_of(points, NAMES[:3], {"train_seconds": Margin(0.1, relative=True)}).all()


def test_a_chain_of_small_differences_does_not_leave_off_its_far_end():
    seconds = [[0.9 - 0.01 * step, 100, 10 / 1.06**step] for step in range(5)]
    assert front_of(seconds, NAMES[:3]).tolist() == [True, False, True, False, True]


def test_the_faster_of_two_with_equal_quality_stays_if_the_user_says_what_equal_is():
    points = [[0.950, 100, 10.0], [0.9495, 100, 9.5], [0.949, 100, 5.0], [0.944, 100, 5.0]]
    assert front_of(points, NAMES[:3], {"macro_f1": Margin(0.005)}).tolist() == [False, False, True, False]


def test_a_difference_of_exactly_the_tolerance_is_within_it():
    assert front_of([[0.95, 100, 10.0], [0.945, 100, 10.0]], NAMES[:3], {"macro_f1": Margin(0.005)}).sum() == 1
    assert front_of([[0.95, 100, 11.1], [0.94, 100, 10.0]], NAMES[:3]).sum() == 1
    assert front_of([[0.95, 100, 11.11], [0.94, 100, 10.0]], NAMES[:3]).sum() == 2


def test_no_time_at_all_is_like_no_other_time():
    assert front_of(
        [[0.9, 100, 0.001], [0.1, 100, 0.0]], NAMES[:3], {"train_seconds": Margin(0.1, relative=True)}
    ).all()


def test_the_front_of_nothing_with_a_tolerance_is_empty():
    assert front_of([], NAMES[:3]).tolist() == []


def test_a_trial_that_was_left_off_may_come_back_with_a_later_one():
    """It is why weights are kept, and trials are stopped, without the tolerance."""
    first, left_off, later = [0.90, 100, 10.5], [0.89, 100, 10.0], [0.95, 100, 11.2]
    assert front_of([first, left_off], NAMES[:3]).tolist() == [True, False]
    assert front_of([first, left_off, later], NAMES[:3]).tolist() == [False, True, True]


def test_the_places_of_values_that_count_as_equal():
    assert tiers([10.5, 10.0, 11.5, 13.0], "train_seconds") == [0, 0, 1, 2]
    assert tiers([10.5, 10.0, 10.0], "train_seconds", EXACT) == [1, 0, 0]
    assert tiers([0.95, 0.90, 0.951], "macro_f1", {"macro_f1": Margin(0.005)}) == [0, 1, 0]
    assert tiers([3.0, float("inf"), float("inf")], "train_seconds") == [0, 1, 1]
    assert tiers([100.0, 95.0, 50.0], "throughput") == [0, 0, 1]
    assert tiers([], "train_seconds") == []


@pytest.mark.parametrize("tolerance", TOLERANCES.values(), ids=TOLERANCES)
@pytest.mark.parametrize("objectives", [NAMES[:1], NAMES[:3], NAMES], ids=len)
def test_a_front_of_whole_trials_and_epochs_over_many_sets_of_points(tolerance, objectives):
    """What is dominated by more than the tolerance is never on it, and no epoch is there that a whole trial matches."""
    preferred, timed = 0, [name == "train_seconds" for name in objectives]
    for seed in range(20):
        random = np.random.default_rng(seed)
        whole = made_points(seed, objectives, int(random.integers(1, 40)))
        earlier = whole.copy()  # each trial's best epoch, which is a little faster
        earlier[:, timed] /= 1.05
        points, epochs = np.concatenate([whole, earlier]), np.repeat([0, 1], len(whole))
        trials = np.tile(np.arange(len(whole)), 2)
        named = [Point(int(trial), int(epoch) or None) for trial, epoch in zip(trials, epochs, strict=True)]
        front = front_of(points, objectives, tolerance, named)
        losses = losses_of(points, objectives)
        order = random.permutation(len(points))
        assert (front_of(points[order], objectives, tolerance, [named[place] for place in order]) == front[order]).all()
        for point in points[non_dominated(losses)]:
            assert matches(points[front], point, objectives, tolerance).any(), "all that is best is as good as on it"
        for place in np.flatnonzero(front):
            better = dominates(losses, losses[place])
            preferred += better.any()
            assert not (better & front).any()
            assert epochs[place] == 0 or not better.any(), "only whole trials may be dominated"
            nearly = [matches([points[place]], other, objectives, tolerance).all() for other in points[better]]
            assert (trials[better] == trials[place]).all(), "by epochs of their own"
            assert all(nearly)
            if epochs[place]:
                trained_whole = front & (epochs == 0)
                assert not matches(points[trained_whole], points[place], objectives, tolerance).any()
    assert (preferred > 0) == any(
        margin_of(name, tolerance).amount > 0 for name in objectives if name == "train_seconds"
    )


def test_of_equal_points_the_whole_trial_and_else_the_earliest_epoch_are_on_the_front():
    points = [[0.9, 100.0], [0.9, 100.0], [0.9, 100.0], [0.8, 10.0], [0.8, 10.0]]
    objectives = NAMES[:2]
    named = [Point(4, 2), Point(7), Point(7, 1), Point(4, 3), Point(5, 1)]
    assert front_of(points, objectives, EXACT, named).tolist() == [False, True, False, False, True]
    assert front_of(points, objectives, EXACT).tolist() == [True] * 5
