"""What a user may prefer among the trials that fit: each preference puts them into an order, the first choice first.

Values within the tolerance of the best one count as equal (`core.front.pareto.tiers`). Ties are broken by the quality,
then by trainable parameters and training time; whole trials come before epochs, and what is left is ordered by number,
so that the same trials always give the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from peftsearch.confirm.statistics import Comparison
from peftsearch.core.front.pareto import Array, distances_to_ideal, front_of, tiers
from peftsearch.core.objectives import directions_of, is_metric
from peftsearch.recommend.candidates import ALWAYS, Candidate, Judged, values_of
from peftsearch.results.formatting import objective_label


@dataclass(frozen=True)
class Ranking:
    """Candidates in the order of a preference.

    Attributes:
        candidates: the first choice first.
        reason: why the first one is the first, as a clause.
    """

    candidates: list[Candidate]
    reason: str


Rank = Callable[[Sequence[Candidate], Judged], Ranking]
"""(at least one candidate, all confirmed or none; by what they are compared) → their ranking."""


@dataclass(frozen=True)
class Preference:
    """One way to choose.

    Attributes:
        summary: what it prefers, as `--help` lists it.
        rank: puts candidates into its order.
    """

    summary: str
    rank: Rank


def _by_quality(pool: Sequence[Candidate], by: Judged) -> Ranking:
    """By quality; of confirmed trials, the cheapest near the best mean comes first, as in `Confirmation.cheapest`."""
    ranked = _sorted(pool, by, by.metric, *ALWAYS)
    compared = _compared(ranked)
    near = [candidate for candidate in ranked if compared and candidate.point in compared.near_best]
    if compared is None or not near or len(ranked) == 1:
        return _first_in(ranked, by.metric, f"it has the best {objective_label(by.metric)} {ranked[0].measured_on}")
    costs = [name for name in by.names if not is_metric(name)]
    cheapest = _sorted(near, by, *costs, by.metric)[0]
    rest = [candidate for candidate in ranked if candidate is not cheapest]
    if len(near) > 1:
        reason = f"it is the cheapest of the {len(near)} within one standard error of the best mean on test"
    elif sum(map(bool, compared.best_set.values())) > 1:
        reason = "it has the best mean on test, and no other is within one standard error of it"
    else:
        reason = "it alone may be the best on test"
    return Ranking([cheapest, *rest], reason)


def _by_parameters(pool: Sequence[Candidate], by: Judged) -> Ranking:
    ranked = _sorted(pool, by, "trainable_parameters", by.metric, "train_seconds")
    return _first_in(ranked, "trainable_parameters", "it trains the fewest parameters")


def _by_time(pool: Sequence[Candidate], by: Judged) -> Ranking:
    ranked = _sorted(pool, by, "train_seconds", by.metric, "trainable_parameters")
    return _first_in(ranked, "train_seconds", "it trains in the shortest time")


def _by_distance(pool: Sequence[Candidate], by: Judged) -> Ranking:
    """The front by its distance to the ideal point, then the rest by quality."""
    ranked = _sorted(pool, by, by.metric, *ALWAYS)
    points = [candidate.point for candidate in ranked]
    on_front = front_of(values_of(ranked, by.names), by.names, by.tolerance, points)
    front = [candidate for candidate, chosen in zip(ranked, on_front, strict=True) if chosen]
    rest = [candidate for candidate, chosen in zip(ranked, on_front, strict=True) if not chosen]
    distances = distances_to_ideal(_on_log_axes(front, by.names))
    nearest = [front[place] for place in np.argsort(distances, kind="stable")]
    return Ranking([*nearest, *rest], "it is the knee of their front: the nearest to the ideal point")


PREFERENCES: dict[str, Preference] = {
    "quality": Preference(
        "the best quality; of confirmed trials the cheapest within one standard error of the best on test",
        _by_quality),
    "small": Preference("the fewest trainable parameters", _by_parameters),
    "fast": Preference("the shortest training time", _by_time),
    "knee": Preference(
        "the knee of the front: nearest to the point that has the best of every objective, with costs on logarithmic "
        "axes and each axis scaled to the front", _by_distance),
}  # fmt: skip


def _compared(ranked: Sequence[Candidate]) -> Comparison | None:
    """The comparison of these confirmed trials with one another; None if their runs have not kept rows."""
    confirmed = {candidate.point: candidate.confirmed for candidate in ranked if candidate.confirmed}
    compared = next((row.comparable for row in confirmed.values() if row.comparable), None)
    return compared.among(confirmed) if compared else None


def _sorted(pool: Sequence[Candidate], by: Judged, *names: str) -> list[Candidate]:
    """By the first of the quantities `names`, then by the next one, and so on; of what is equal, whole trials first."""
    keys = [tiers([candidate.values[name] for candidate in pool], name, by.tolerance) for name in names]
    keys.append([candidate.point.epoch or 0 for candidate in pool])
    numbers = [candidate.point.trial for candidate in pool]
    return [pool[place] for *_, place in sorted(zip(*keys, numbers, range(len(pool)), strict=True))]


def _first_in(ranked: list[Candidate], name: str, reason: str) -> Ranking:
    """The candidates in their order, with the reason of which the first one is the best in the quantity `name`."""
    values = [candidate.values[name] for candidate in ranked]
    best = max(values) if directions_of([name]) == ("maximize",) else min(values)
    return Ranking(ranked, reason if values[0] == best else f"{reason} within the tolerance")


def _on_log_axes(front: Sequence[Candidate], judged: Sequence[str]) -> Array:
    """Losses with the logarithm of each cost, where zero counts as half of the least positive value."""
    values = np.array([[candidate.values[name] for name in judged] for candidate in front], dtype=np.float64)
    for column, name in enumerate(judged):
        if not is_metric(name):
            positive = values[values[:, column] > 0, column]
            least = positive.min() / 2 if len(positive) else 1.0
            values[:, column] = np.log(np.maximum(values[:, column], least))
    signs = np.array([-1.0 if direction == "maximize" else 1.0 for direction in directions_of(judged)])
    scaled: Array = values * signs
    return scaled
