"""What several seeds tell: mean and spread of one trial, and the difference of two trials over the same seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Scores of one trial over its seeds.

    Attributes:
        deviation: the standard deviation of a sample (n - 1); None of fewer than two scores.
    """

    mean: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Scores of one trial minus those of another with the same seeds.

    Attributes:
        low, high: 95 % interval of the mean difference; None if too few seeds are shared to tell.
        seeds: how many are shared; 0 where neither trial has anything random in it.
    """

    mean: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def told_apart(self) -> bool | None:
        """Whether the interval excludes 0; None if there is no interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0


def spread(scores: Sequence[float]) -> Spread:
    """Mean and standard deviation of at least one score.

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, deviation=1.0, seeds=3)
    """
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return Spread(mean, None, len(scores))
    return Spread(mean, math.sqrt(math.fsum((s - mean) ** 2 for s in scores) / (len(scores) - 1)), len(scores))


def paired_difference(one: Mapping[int, float] | float, other: Mapping[int, float] | float) -> Difference | None:
    """`one` minus `other` over the seeds that both have, with Student's t (Student 1908).

    The interval holds for other seeds on the same rows; that other rows would score differently is not in it.

    Args:
        one, other: seed → score; or the score of what is the same with every seed.

    Returns:
        None if no seed is shared.
    """
    from scipy.stats import t

    if isinstance(one, float) and isinstance(other, float):
        return Difference(one - other, one - other, one - other, 0)
    seeds = sorted(set.intersection(*(set(scores) for scores in (one, other) if not isinstance(scores, float))))
    if not seeds:
        return None
    found = spread([_at(one, seed) - _at(other, seed) for seed in seeds])
    if found.deviation is None:
        return Difference(found.mean, None, None, 1)
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(seeds) - 1)) * found.deviation / math.sqrt(len(seeds))
    return Difference(found.mean, found.mean - reach, found.mean + reach, len(seeds))


def _at(scores: Mapping[int, float] | float, seed: int) -> float:
    return scores if isinstance(scores, float) else scores[seed]
