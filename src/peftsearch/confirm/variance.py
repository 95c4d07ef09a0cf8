"""The variance of scores over rows and seeds, and how far a mean may be from the truth.

A score of a confirmed trial varies for two reasons: another test split has other rows, and another seed trains another
classifier. All trials are measured on the same rows, so the rows that are hard for one are mostly hard for the others,
and the difference of two trials varies less over rows than either of them. Rows and seeds are crossed (every seed
labels every row), and the model is the two-way random one without further assumptions about the rows:

    value(trial, seed, row) = truth(trial) + row effect(trial, row) + seed effect(trial, seed) + interaction

The difference of two trials with the same k seeds, averaged over seeds, then has the variance

    V = (variance of the difference over rows) / n + 2 · (variance between seeds) / k

in which the variance between seeds is s² - (interaction) / n, because the scores of seeds on the same n rows also vary
by what a seed does to single rows, and that part is in the first term already (Searle, Casella & McCulloch, "Variance
Components", 1992, chapter 4). s² and the interaction are pooled over all confirmed trials with several seeds, since
three seeds of one trial say little. V is a sum of mean squares with few degrees of freedom; Satterthwaite's formula
gives those of V ("An approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One estimated part of a variance; a part may be subtracted.

    Attributes:
        freedom: the degrees of freedom of the estimate.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class SeedVariance:
    """How much scores of one configuration vary with the seed, pooled over trials with two seeds or more.

    Attributes:
        scores: s², the variance of a trial's scores between seeds, on these rows.
        interaction: the variance of a single row's value that is due to seed and row together.
        freedom: seeds less one, summed over the trials.
        rows: rows of the split.
    """

    scores: float
    interaction: float
    freedom: int
    rows: int

    @classmethod
    def pooled(cls, trials: Iterable[Floats]) -> SeedVariance | None:
        """From values of shape (seeds, rows), one array a trial; None if no trial has several seeds."""
        several = [values for values in trials if len(values) > 1]
        if not several:
            return None
        freedom, rows = sum(len(values) - 1 for values in several), several[0].shape[1]
        between = sum(float(((values.mean(axis=1) - values.mean()) ** 2).sum()) for values in several)
        rest = sum(float(((values - values.mean(axis=0)) ** 2).sum()) for values in several) - rows * between
        return cls(between / freedom, max(rest, 0.0) / (freedom * max(rows - 1, 1)), freedom, rows)

    def parts(self, weight: float) -> list[Part]:
        """Of `weight` times the variance between seeds that is left on endless rows. It is never negative."""
        own, shared = weight * self.scores, min(self.scores, self.interaction / self.rows) * weight
        return [Part(own, self.freedom), Part(-shared, self.freedom * max(self.rows - 1, 1))]


def over_rows(by_row: Floats) -> Part:
    """The variance of a mean over rows; unknown for one row."""
    rows = len(by_row)
    return Part(float(by_row.var(ddof=1)) / rows if rows > 1 else math.inf, max(rows - 1, 1))


def reach(parts: Sequence[Part], level: float) -> float:
    """Student's quantile of `level` with Satterthwaite's degrees of freedom, times the standard error."""
    from scipy.stats import t

    total = sum(part.variance for part in parts)
    if not 0 < total < math.inf:
        return total
    freedom = total**2 / sum(part.variance**2 / part.freedom for part in parts)
    freedom = max(freedom, min(part.freedom for part in parts))  # a subtracted part can push it below any part's own
    return float(t.ppf(level, freedom)) * math.sqrt(total)
