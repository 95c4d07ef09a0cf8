"""Expected hypervolume improvement in closed form, for any number of objectives with independent normal forecasts.

What a front leaves open is cut into boxes. The volume that a point adds is the sum of what it adds to each box, and
within a box the expectation is a product over the objectives. An objective that is known has deviation 0.

Source: Yang, Emmerich, Deutz and Bäck, "Efficient computation of expected hypervolume improvement using box
decomposition algorithms" (2019). Optuna and BoTorch have such boxes too, Optuna behind private names.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from peftsearch.core.front.pareto import Array, non_dominated

MOST_BOXES = 20_000
"""n points in m objectives may give n ** (m - 1) boxes; a front that could give more is thinned."""

SURE = 1e-9
"""A deviation below which an objective counts as known."""


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes, which cover what no point of a front dominates below a reference point.

    Attributes:
        low: shape (boxes, objectives); -inf where a box has no lower end.
        high: the same shape.
    """

    low: Array
    high: Array


def open_boxes(losses: Array, reference: Array) -> Boxes:
    """Cut what `losses` of shape (points, objectives) leave open below `reference` of shape (objectives,) into boxes.

    Points that are not below the reference in every objective count for nothing.
    """
    front = _front(losses[(losses < reference).all(axis=1)])
    most = int(MOST_BOXES ** (1 / max(1, len(reference) - 1)))
    if len(front) > most:
        front = front[np.linspace(0, len(front) - 1, most).round().astype(int)]  # evenly along the first objective
    return Boxes(*_cut(front, reference))


def expected_improvement(boxes: Boxes, mean: Array, deviation: Array) -> Array:
    """The expected volume that each of some points adds.

    Args:
        boxes: what the front leaves open.
        mean: forecast losses of shape (points, objectives).
        deviation: their standard deviations, of the same shape.

    Returns:
        Shape (points,), each at least 0.
    """
    volume = np.ones((len(mean), len(boxes.low)))
    for k in range(mean.shape[1]):
        forecast = mean[:, k], np.maximum(deviation[:, k], SURE)
        volume *= _room(boxes.high[:, k], *forecast) - _room(boxes.low[:, k], *forecast)
    return np.asarray(np.maximum(volume.sum(axis=1), 0))


def _room(ends: Array, mean: Array, deviation: Array) -> Array:
    """The expectation of max(0, end - loss). Shape (points, ends)."""
    from scipy.special import ndtr

    distinct, place = np.unique(ends, return_inverse=True)  # many boxes have an end in common
    found = np.zeros((len(mean), len(distinct)))
    finite = np.isfinite(distinct)
    away = distinct[finite][None, :] - mean[:, None]
    z = away / deviation[:, None]
    density = np.exp(-0.5 * np.minimum(z**2, 1e3)) / np.sqrt(2 * np.pi)
    found[:, finite] = away * ndtr(z) + deviation[:, None] * density
    return np.asarray(found[:, place.reshape(-1)])


def _cut(front: Array, reference: Array) -> tuple[Array, Array]:
    """Cut into slabs along the last objective, and each slab along the others."""
    if len(reference) == 1:
        return np.array([[-np.inf]]), np.array([[front.min() if len(front) else reference[0]]])
    lows, highs, start = [], [], -np.inf
    for end in (*np.unique(front[:, -1]), reference[-1]):
        low, high = _cut(_front(front[front[:, -1] <= start, :-1]), reference[:-1])
        lows.append(np.column_stack([low, np.full(len(low), start)]))
        highs.append(np.column_stack([high, np.full(len(high), end)]))
        start = end
    return np.concatenate(lows), np.concatenate(highs)


def _front(losses: Array) -> Array:
    """The distinct rows that no other one dominates, in lexical order."""
    distinct = np.unique(losses, axis=0)
    return distinct[non_dominated(distinct)] if len(distinct) else distinct
