from __future__ import annotations

import numpy as np
import pytest

from peftsearch.core.front.pareto import hypervolume
from peftsearch.search.ehvi.improvement import MOST_BOXES, expected_improvement, open_boxes


def points(objectives: int, count: int = 12, seed: int = 0, least: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(least, 1.1, (count, objectives))


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_a_known_point_adds_the_difference_of_two_hypervolumes(objectives: int) -> None:
    front, asked, reference = points(objectives), points(objectives, 30, seed=1, least=0), np.ones(objectives)
    found = expected_improvement(open_boxes(front, reference), asked, np.zeros_like(asked))
    added = [hypervolume(np.vstack([front, one]), reference) - hypervolume(front, reference) for one in asked]
    assert found == pytest.approx(np.array(added), abs=1e-8)
    assert max(added) > 0.01


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_an_uncertain_point_adds_the_mean_over_what_it_may_be(objectives: int) -> None:
    front, reference = points(objectives, 6), np.ones(objectives)
    mean, deviation = np.full((1, objectives), 0.3), np.linspace(0.1, 0.3, objectives)[None, :]
    drawn = np.random.default_rng(2).normal(mean, deviation, (4000, objectives))
    boxes = open_boxes(front, reference)
    each = expected_improvement(boxes, drawn, np.zeros_like(drawn))
    assert expected_improvement(boxes, mean, deviation)[0] == pytest.approx(
        each.mean(), abs=4 * each.std() / len(each) ** 0.5
    )


def test_without_a_front_everything_below_the_reference_is_open() -> None:
    boxes = open_boxes(np.zeros((0, 2)), np.ones(2))
    assert expected_improvement(boxes, np.array([[0.5, 0.0], [1.5, 0.0]]), np.zeros((2, 2))) == pytest.approx([0.5, 0])


def test_points_beyond_the_reference_count_for_nothing() -> None:
    inside, outside = np.array([[0.5, 0.5]]), np.array([[0.5, 0.5], [0.0, 1.0], [2.0, -1.0]])
    asked = points(2, 5), np.full((5, 2), 0.1)
    found = [expected_improvement(open_boxes(front, np.ones(2)), *asked) for front in (inside, outside)]
    assert found[0] == pytest.approx(found[1])


def test_a_large_front_of_many_objectives_is_thinned() -> None:
    directions = np.abs(np.random.default_rng(0).normal(size=(300, 5)))
    sphere = 1 - directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert 100 < len(open_boxes(sphere, np.ones(5)).low) <= MOST_BOXES
