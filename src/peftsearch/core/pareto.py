"""Dominance, fronts, hypervolume and the knee. Arrays in, arrays out; smaller is better everywhere.

`losses` is always of shape (points, objectives): turn a maximised objective round with `as_losses`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.objectives import directions_of

Array = NDArray[np.float64]


def as_losses(values: Sequence[Sequence[float]] | Array, directions: Sequence[str]) -> Array:
    """`values` of shape (points, objectives) with every maximised column negated."""
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions])
    losses: Array = np.asarray(values, dtype=np.float64).reshape(-1, len(signs)) * signs
    return losses


def losses_of(values: Sequence[Sequence[float]] | Array, objectives: Sequence[str]) -> Array:
    """`values` of shape (points, objectives) as losses, by the directions of the objectives of these names."""
    return as_losses(values, directions_of(objectives))


def dominates(losses: Array, point: Array) -> NDArray[np.bool_]:
    """For each row of `losses`: is it nowhere worse than `point` and somewhere better? Shape (points,)."""
    no_worse = (losses <= point).all(axis=1)
    better = (losses < point).any(axis=1)
    return np.asarray(no_worse & better)


def non_dominated(losses: Array) -> NDArray[np.bool_]:
    """Which rows no other row dominates. Equal rows are all kept. Shape (points,)."""
    # In lexical order no row is dominated by a later one, so the first of those that remain is always on the front.
    distinct, place = np.unique(losses, axis=0, return_inverse=True)
    on_front = np.zeros(len(distinct), dtype=bool)
    remaining = np.arange(len(distinct))
    while len(remaining):
        first = remaining[0]
        on_front[first] = True
        remaining = remaining[(distinct[remaining] < distinct[first]).any(axis=1)]
    return np.asarray(on_front[place.reshape(-1)])


def hypervolume(losses: Array, reference: Array) -> float:
    """Volume that `losses` dominate below `reference`; rows not below it in every objective add nothing.

    Source: While, Bradstreet and Barone, "A fast way of calculating exact hypervolumes" (2012).
    """
    inside = np.unique(losses[(losses < reference).all(axis=1)], axis=0)
    return _exclusive_sum(inside[non_dominated(inside)], reference)


def distances_to_ideal(front: Array) -> NDArray[np.float64]:
    """How far each point of a front is from the ideal point, with every objective scaled to 0..1 over the front.

    The ideal point has the best value of every objective; the nearest point is the compromise solution or knee.
    Source: Yu, "A class of solutions for group decision problems" (1973), with the Euclidean norm.

    Args:
        front: losses of at least one point, of which none dominates another.

    Returns:
        Shape (points,), each at least 0.
    """
    span = np.ptp(front, axis=0)
    scaled = (front - front.min(axis=0)) / np.where(span > 0, span, 1.0)
    return np.asarray(np.linalg.norm(scaled, axis=1))


def _exclusive_sum(points: Array, reference: Array) -> float:
    """Each point's own box less what the later points cover of it."""
    if points.shape[1] == 1:
        return float(np.max(reference - points)) if len(points) else 0.0
    volume = 0.0
    for i, point in enumerate(points):
        box = float(np.prod(reference - point))
        later = np.unique(np.maximum(points[i + 1 :], point), axis=0)
        volume += box - (_exclusive_sum(later[non_dominated(later)], reference) if len(later) else 0.0)
    return volume
