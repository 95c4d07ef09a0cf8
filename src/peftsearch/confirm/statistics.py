"""Statistics over seeds: the mean and spread of one trial, and the difference of two trials over the same seeds."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """Scores of one trial over its seeds.

    Attributes:
        mean: their mean.
        deviation: the sample standard deviation (n - 1); None for fewer than two scores.
        seeds: how many scores there are.
    """

    mean: float
    deviation: float | None
    seeds: int


@dataclass(frozen=True)
class Difference:
    """Scores of one trial minus the scores of another trial with the same seeds.

    Attributes:
        mean: the mean difference.
        low: the lower end of its 95 % interval; None if too few seeds are shared.
        high: the upper end.
        seeds: how many seeds are shared; 0 where nothing is random in either trial.
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
    """Compare two trials over the seeds that both have, with Student's paired t-test (Student 1908).

    The interval tells what other seeds would give on the same rows; it does not cover the choice of the rows.

    Args:
        one: seed → score, or one score for a trial without randomness.
        other: the same of the other trial.

    Returns:
        `one` minus `other`; None if no seed is shared.
    """
    if isinstance(one, float) and isinstance(other, float):
        return Difference(one - other, one - other, one - other, 0)
    seeds = sorted(set.intersection(*(set(scores) for scores in (one, other) if not isinstance(scores, float))))
    if not seeds:
        return None
    ours, theirs = ([_at(scores, seed) for seed in seeds] for scores in (one, other))
    mean = spread([a - b for a, b in zip(ours, theirs, strict=True)]).mean
    low, high = _interval(ours, theirs) if len(seeds) > 1 else (None, None)
    return Difference(mean, low, high, len(seeds))


def _interval(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The interval of the mean difference; a point where all differences are the same."""
    from scipy.stats import ttest_rel

    with warnings.catch_warnings():  # of equal differences SciPy says that its p-value, which is not used, is unsure
        warnings.simplefilter("ignore", RuntimeWarning)
        found = ttest_rel(one, other).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def _at(scores: Mapping[int, float] | float, seed: int) -> float:
    return scores if isinstance(scores, float) else scores[seed]
