"""The variance of scores over rows and seeds, and how far a mean may be from the truth.

A score of a confirmed trial varies for two reasons: another test split has other rows, and another seed trains another
classifier. All trials are measured on the same rows, so the rows that are hard for one are mostly hard for the others,
and the difference of two trials varies less over rows than either of them. Rows and seeds are crossed (every seed
labels every row), and the model is the two-way random one without further assumptions about the rows:

    value(trial, seed, row) = truth(trial) + row effect(trial, row) + seed effect(trial, seed) + interaction

The difference of two trials with the same k seeds, averaged over seeds, then has the variance

    V = (variance of the difference over rows) / n + 2 · (variance between seeds) / k

in which the variance between seeds is s² less the variance of the interaction divided by n: scores of seeds on the same
n rows also vary by what a seed does to single rows, and that is in the first term already (Searle, Casella & McCulloch,
"Variance Components", 1992, chapter 4). V is a sum of mean squares with few degrees of freedom; Satterthwaite's formula
gives those of V ("An approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946).

Three seeds of one trial say little about s², so half of it is the trial's own and half that of all confirmed trials:
methods differ in it, as full fine-tuning may vary with the seed by points and a probe by a tenth of one. A trial with
one seed gets that of all. `docs/confidence.md` shows what either half alone would do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.points import Point

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """One estimated part of a variance; a part may be subtracted.

    Attributes:
        freedom: the degrees of freedom of the estimate; infinite if it is as good as known.
    """

    variance: float
    freedom: float


@dataclass(frozen=True)
class SeedVariance:
    """How much the scores of trials vary with the seed.

    Attributes:
        scores: trial → its own s², the variance of its scores between seeds on these rows.
        interaction: trial → the part of s² that is due to single rows.
        pooled: s² of all trials.
        pooled_interaction: the part of it that is due to single rows.
        own: how much of the s² of a trial with several seeds is its own; the rest is `pooled`.
    """

    scores: Mapping[Point, Part]
    interaction: Mapping[Point, float]
    pooled: float
    pooled_interaction: float
    own: float = 0.5

    @classmethod
    def estimated(cls, trials: Mapping[Point, Floats]) -> SeedVariance | None:
        """From values of shape (seeds, rows) by trial; None if no trial has several seeds."""
        several = {trial: values for trial, values in trials.items() if len(values) > 1}
        if not several:
            return None
        scores = {n: Part(float(values.mean(axis=1).var(ddof=1)), len(values) - 1) for n, values in several.items()}
        interaction = {n: _interaction(values, scores[n].variance) for n, values in several.items()}
        freedom = sum(part.freedom for part in scores.values())
        pooled = sum(part.variance * part.freedom for part in scores.values()) / freedom
        shared = sum(interaction[n] * part.freedom for n, part in scores.items()) / freedom
        return cls(scores, interaction, pooled, shared)

    def parts(self, weights: Mapping[Point, float]) -> list[Part]:
        """Of the trials' weighted variances between seeds on endless rows. Their sum is never negative.

        Args:
            weights: trial → one divided by its seeds.
        """
        own = {n: weights.get(n, 0.0) * self.own if n in self.scores else 0.0 for n in {**weights, **self.scores}}
        lent = sum(weights.values()) - sum(own.values())
        freedom = sum(part.freedom for part in self.scores.values())
        found = [
            Part((own[n] + lent * part.freedom / freedom) * part.variance, part.freedom)
            for n, part in self.scores.items()
        ]
        return found + [Part(-weight * self._shared(n), math.inf) for n, weight in weights.items()]

    def _shared(self, trial: Point) -> float:
        """The part of a trial's s² that the rows account for already."""
        if trial not in self.scores:
            return min(self.pooled, self.pooled_interaction)
        return min(self.own * self.scores[trial].variance + (1 - self.own) * self.pooled, self.interaction[trial])


def _interaction(values: Floats, between: float) -> float:
    """The variance of a mean over rows that is due to what seeds do to single rows."""
    seeds, rows = values.shape
    rest = float(((values - values.mean(axis=0)) ** 2).sum()) - rows * (seeds - 1) * between
    return float(max(rest, 0.0) / ((seeds - 1) * max(rows - 1, 1) * rows))


def satterthwaite(parts: Sequence[Part]) -> float:
    """The degrees of freedom of a sum; at least those of its least known part, below which a subtracted part could
    push them."""
    uncertain = sum(part.variance**2 / part.freedom for part in parts)
    least = min(part.freedom for part in parts)
    return float(max(least, sum(part.variance for part in parts) ** 2 / uncertain)) if uncertain else least


def over_rows(by_row: Floats) -> Part:
    """The variance of a mean over rows; unknown for one row."""
    rows = len(by_row)
    return Part(float(by_row.var(ddof=1)) / rows if rows > 1 else math.inf, max(rows - 1, 1))


def standard_error(parts: Sequence[Part]) -> float:
    """The root of the sum; infinite if a part is unknown."""
    return math.sqrt(max(sum(part.variance for part in parts), 0.0))  # parts that cancel may leave a rounding error


def reach(parts: Sequence[Part], level: float) -> float:
    """Student's quantile of `level` with Satterthwaite's degrees of freedom, times the standard error."""
    from scipy.special import stdtrit  # as scipy.stats.t.ppf, without its long import

    error = standard_error(parts)
    return float(stdtrit(satterthwaite(parts), level)) * error if 0 < error < math.inf else error
