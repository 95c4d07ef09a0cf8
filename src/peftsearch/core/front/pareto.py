"""Dominance, fronts, hypervolume and the knee. Arrays in, arrays out; smaller is better everywhere.

`losses` is always of shape (points, objectives): turn a maximised objective round with `as_losses`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.front.tolerance import AS_MEASURED, Tolerance, margin_of
from peftsearch.core.objectives import directions_of
from peftsearch.core.points import Point

Array = NDArray[np.float64]

ROUNDING = 1e-9
"""The share of a tolerance by which a difference may exceed it: 0.950 - 0.945 is a little more than 0.005."""

LEAST = float(np.finfo(np.float64).tiny)
"""What stands for zero where values are compared by their ratio."""


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


def front_of(
    values: Sequence[Sequence[float]] | Array,
    objectives: Sequence[str],
    tolerance: Tolerance = AS_MEASURED,
    points: Sequence[Point] | None = None,
) -> NDArray[np.bool_]:
    """Which points are on the front: this is the only rule by which trials are put on one or left off.

    Of the points that no other one dominates, those are left off that a point on the front matches: it is worse by no
    more than the tolerance in any objective. Points are taken in an order, and each one is put on the front unless one
    that is there already matches it. So the front is never empty, it does not depend on the order of the rows, and
    nothing is left off because of a point that is itself left off.

    The order is by the objectives without a tolerance, in the study's order, then by the sum of the others in units of
    their tolerance, then by these one after the other. With it, no point on the front matches another one if at most
    two objectives have a tolerance: one that gains more than a tolerance in one of them and loses less than one in the
    other has the smaller sum. With three, points can match each other in a circle, which no order breaks; more of them
    may then stay.

    Whole trials come before epochs in this order, and a whole trial is among those that are taken although epochs of
    its own dominate it, if it matches each of these: a person would rather have a trial that was trained as it was
    configured, and the weights are the same. Of equal epochs, the earliest are taken.

    The result is an epsilon-Pareto set (Laumanns et al., "Combining convergence and diversity in evolutionary
    multiobjective optimization", 2002). It is the kernel of the relation "matches and comes first", in the sense of von
    Neumann and Morgenstern ("Theory of games and economic behavior", 1944), which is unique because the relation has no
    circles.

    Args:
        values: of shape (points, objectives).
        objectives: their names, in the study's order.
        tolerance: objective → margin, of those that do not have their own. With `EXACT`, the front is what
            `non_dominated` says, but for epochs that equal a whole trial or an earlier one.
        points: which of them are whole trials, and which are epochs; by default all are whole trials.

    Returns:
        Shape (points,). Equal whole trials are all on the front, or none of them is.
    """
    losses = losses_of(values, objectives)
    units, reach = _in_units(losses, objectives, tolerance)
    named = [Point(place) for place in range(len(losses))] if points is None else points
    epochs, trials = np.array([(point.epoch or 0, point.trial) for point in named], dtype=int).reshape(-1, 2).T
    on_front = non_dominated(losses)
    ahead = np.flatnonzero(on_front)  # few, and one of them dominates whatever is dominated
    for place in np.flatnonzero((epochs == 0) & ~on_front & np.isin(trials, trials[epochs > 0])):
        if (trials[ahead[dominates(losses[ahead], losses[place])]] != trials[place]).any():
            continue
        better = dominates(losses, losses[place])
        on_front[place] = (trials[better] == trials[place]).all() and (units[place] <= units[better] + reach).all()
    places = np.flatnonzero(on_front)
    on_front[places] = _kernel(units[places], reach, epochs[places])
    return on_front


def matches(
    values: Sequence[Sequence[float]] | Array,
    point: Sequence[float],
    objectives: Sequence[str],
    tolerance: Tolerance = AS_MEASURED,
) -> NDArray[np.bool_]:
    """For each row of `values`: is it worse than `point` by no more than the tolerance in any objective?

    Args:
        values: of shape (points, objectives).
        point: of shape (objectives,).
        objectives: their names.
        tolerance: as for `front_of`.

    Returns:
        Shape (points,).
    """
    others, reach = _in_units(losses_of(values, objectives), objectives, tolerance)
    [own], _ = _in_units(losses_of([point], objectives), objectives, tolerance)
    return np.asarray((others <= own + reach).all(axis=1))


def tiers(values: Sequence[float], objective: str, tolerance: Tolerance = AS_MEASURED) -> list[int]:
    """The place of each value of one objective, 0 for the best: values within the tolerance of the best one of a place
    share it.

    >>> tiers([10.5, 10.0, 12.0], "train_seconds")
    [0, 0, 1]
    """
    units, reach = _in_units(losses_of([[value] for value in values], [objective]), [objective], tolerance)
    places, first = [0] * len(values), -np.inf
    place = -1
    for index in np.argsort(units[:, 0], kind="stable").tolist():
        if place < 0 or units[index, 0] > first + reach[0]:
            place, first = place + 1, units[index, 0]
        places[index] = place
    return places


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


def _in_units(losses: Array, objectives: Sequence[str], tolerance: Tolerance) -> tuple[Array, Array]:
    """`losses` with every objective that has a tolerance in units of it, and by how much each one may be worse.

    Values that are compared by their ratio become logarithms, so that the tolerance is a difference for them too. Where
    a share has a floor, so much is added to both values that this share of it is the floor.
    """
    units, reach = losses.copy(), np.zeros(losses.shape[1])
    for column, name in enumerate(objectives):
        margin = margin_of(name, tolerance)
        if margin.amount:
            reach[column] = 1 + ROUNDING
            sign = -1.0 if directions_of([name]) == ("maximize",) else 1.0
            compared = np.maximum(sign * losses[:, column] + margin.floor / margin.amount, LEAST)
            logarithms = sign * np.log(compared) / np.log1p(margin.amount)
            units[:, column] = logarithms if margin.relative else losses[:, column] / margin.amount
    return units, reach


def _kernel(units: Array, reach: Array, epochs: NDArray[np.int_]) -> NDArray[np.bool_]:
    """Which of these points `front_of` puts on the front. Shape (points,)."""
    keyed, place = np.unique(np.column_stack([units, epochs]), axis=0, return_inverse=True)  # in lexical order
    distinct, later = keyed[:, :-1], keyed[:, -1] > 0
    exact = reach == 0
    kept = np.zeros(len(distinct), dtype=bool)
    remaining = np.lexsort((distinct[:, ~exact].sum(axis=1), *distinct[:, exact].T[::-1], later))
    while len(remaining):
        first = remaining[0]
        kept[first] = True
        remaining = remaining[(distinct[first] > distinct[remaining] + reach).any(axis=1)]
    return np.asarray(kept[place.reshape(-1)])


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
