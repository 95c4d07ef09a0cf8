"""What a user may prefer among the trials that fit: each preference puts them into an order, the first choice first.

Ties are broken by the quality, then by trainable parameters, training time and the trial's number, so that the same
trials always give the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from peftsearch.core.objectives import directions_of, is_metric
from peftsearch.core.pareto import Array, distances_to_ideal, non_dominated
from peftsearch.recommend.candidates import ALWAYS, Candidate, losses
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


Rank = Callable[[Sequence[Candidate], str, Sequence[str]], Ranking]
"""(at least one candidate, all confirmed or none; the study's metric; what trials are judged by) → their ranking."""


@dataclass(frozen=True)
class Preference:
    """One way to choose.

    Attributes:
        summary: what it prefers, as `--help` lists it.
        rank: puts candidates into its order.
    """

    summary: str
    rank: Rank


def _by_quality(pool: Sequence[Candidate], metric: str, judged: Sequence[str]) -> Ranking:
    """By quality; of confirmed trials, the cheapest that may be the best comes first, as in `Confirmation.cheapest`."""
    ranked = _sorted(pool, metric, *ALWAYS)
    best = _best_set(ranked)
    if len(best) == 1 < len(ranked):
        return Ranking(ranked, "it alone may be the best on test")
    if len(best) < 2:
        return Ranking(ranked, f"it has the best {objective_label(metric)} {ranked[0].measured_on}")
    costs = [name for name in judged if not is_metric(name)]
    cheapest = _sorted(best, *costs, metric)[0]
    rest = [candidate for candidate in ranked if candidate is not cheapest]
    return Ranking([cheapest, *rest], f"it is the cheapest of the {len(best)} that may be the best on test")


def _by_parameters(pool: Sequence[Candidate], metric: str, judged: Sequence[str]) -> Ranking:
    return Ranking(_sorted(pool, "trainable_parameters", metric, "train_seconds"), "it trains the fewest parameters")


def _by_time(pool: Sequence[Candidate], metric: str, judged: Sequence[str]) -> Ranking:
    return Ranking(_sorted(pool, "train_seconds", metric, "trainable_parameters"), "it trains in the shortest time")


def _by_distance(pool: Sequence[Candidate], metric: str, judged: Sequence[str]) -> Ranking:
    """The front by its distance to the ideal point, then the rest by quality."""
    ranked = _sorted(pool, metric, *ALWAYS)
    on_front = non_dominated(losses(ranked, judged))
    front = [candidate for candidate, chosen in zip(ranked, on_front, strict=True) if chosen]
    rest = [candidate for candidate, chosen in zip(ranked, on_front, strict=True) if not chosen]
    distances = distances_to_ideal(_on_log_axes(front, judged))
    nearest = [front[place] for place in np.argsort(distances, kind="stable")]
    return Ranking([*nearest, *rest], "it is the knee of their front: the nearest to the ideal point")


PREFERENCES: dict[str, Preference] = {
    "quality": Preference(
        "the best quality; of confirmed trials the cheapest that may be the best on test", _by_quality),
    "small": Preference("the fewest trainable parameters", _by_parameters),
    "fast": Preference("the shortest training time", _by_time),
    "knee": Preference(
        "the knee of the front: nearest to the point that has the best of every objective, with costs on logarithmic "
        "axes and each axis scaled to the front", _by_distance),
}  # fmt: skip


def _best_set(ranked: Sequence[Candidate]) -> list[Candidate]:
    """Those that may be the best of these confirmed trials; none if that cannot be said."""
    confirmed = {candidate.number: candidate.confirmed for candidate in ranked if candidate.confirmed}
    compared = next((row.comparable for row in confirmed.values() if row.comparable), None)
    if compared is None:
        return []
    among_these = replace(compared, trials={n: scores for n, scores in compared.trials.items() if n in confirmed})
    return [candidate for candidate in ranked if among_these.best_set.get(candidate.number)]


def _sorted(pool: Sequence[Candidate], *names: str) -> list[Candidate]:
    keys = losses(pool, names)
    places = sorted(range(len(pool)), key=lambda place: (*keys[place], pool[place].number))
    return [pool[place] for place in places]


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
