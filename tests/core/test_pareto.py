from __future__ import annotations

import numpy as np
import pytest

from peftsearch.core.pareto import as_losses, distances_to_ideal, dominates, hypervolume, losses_of, non_dominated


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
