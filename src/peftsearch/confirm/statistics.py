"""Intervals over test rows and seeds: a trial's score, the difference of two trials, and which trials may be the best.

`docs/confidence.md` explains them, and `benchmarks/confirm_levels.py` measures how often they are wrong. The variances
come from `confirm.variance`. Which trials may be the best follows Hsu's multiple comparisons with the best (Annals of
Statistics 9, 1981, p. 1026; "Multiple Comparisons", 1996, chapter 4). Which of them are near the best mean follows the
one-standard-error rule (Breiman et al., "Classification and Regression Trees", 1984, section 3.4.3).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from peftsearch.confirm.variance import Floats, Part, SeedVariance, over_rows, reach, standard_error
from peftsearch.core.points import Point

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Scores:
    """What one trial scored on the test split.

    Attributes:
        values: pseudo-values of the metric (`confirm.jackknife.pseudo_values`), shape (seeds, rows), rows in the order
            of the split, which is the same for all trials that are compared.
        random: whether another seed trains another classifier; if not, there is one row of values.
    """

    values: Floats
    random: bool

    @property
    def seeds(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> int:
        return int(self.values.shape[1])

    @property
    def mean(self) -> float:
        """The mean of the seeds' scores."""
        return float(self.values.mean())

    @cached_property
    def by_row(self) -> Floats:
        """Means over seeds, shape (rows,)."""
        means: Floats = self.values.mean(axis=0)
        return means


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95 % interval over rows and seeds.

    Attributes:
        mean: the estimate, in the unit of the metric.
        low: the lower end; None where seeds matter and no trial has two of them.
        high: the upper end.
    """

    mean: float
    low: float | None
    high: float | None

    @property
    def told_apart(self) -> bool | None:
        """Whether the interval excludes 0; None if there is no interval."""
        return None if self.low is None or self.high is None else self.low > 0 or self.high < 0

    def within(self, lowest: float, highest: float) -> Interval:
        """The part of the interval that is possible: few rows of a class may make it wider than the metric's range."""
        if self.low is None or self.high is None:
            return self
        return Interval(self.mean, max(self.low, lowest), min(self.high, highest))


@dataclass(frozen=True)
class Comparison:
    """Trials that were measured on the same test rows.

    Attributes:
        trials: point → scores.
        larger_is_better: whether a higher value of the metric is better.
        bounds: the lowest and the highest value of the metric, which no interval exceeds.
    """

    trials: Mapping[Point, Scores]
    larger_is_better: bool = True
    bounds: tuple[float, float] = (-math.inf, math.inf)

    @cached_property
    def seed_variance(self) -> SeedVariance | None:
        """From all trials together; None if none has several seeds."""
        return SeedVariance.estimated({n: scores.values for n, scores in self.trials.items() if scores.random})

    def among(self, points: Collection[Point]) -> Comparison:
        """The same for those of these trials that were measured, compared with one another alone."""
        return replace(self, trials={trial: scores for trial, scores in self.trials.items() if trial in points})

    def interval(self, trial: Point) -> Interval:
        """What the trial would score with other rows and other seeds."""
        scores = self.trials[trial]
        return self._interval(scores.mean, scores.by_row, [trial]).within(*self.bounds)

    def difference(self, one: Point, other: Point) -> Interval:
        """The score of `one` minus the score of `other`: 95 % for these two alone, whatever other trials there are."""
        ours, theirs = self.trials[one], self.trials[other]
        found = self._interval(ours.mean - theirs.mean, ours.by_row - theirs.by_row, [one, other])
        return found.within(-self._width, self._width)

    def overstatement(self, trial: Point, validation: Floats) -> Interval:
        """By how much the search's validation score of a trial was better than what the trial scores on test.

        The interval covers the choice of the validation rows, of the test rows and of all seeds. It says what chance
        alone would do; where it excludes 0, choosing by the score or a difference of the splits has done more.

        Args:
            trial: the trial.
            validation: pseudo-values of the search's own run, shape (validation rows,).
        """
        scores = self.trials[trial]
        gap = self._sign * (float(validation.mean()) - scores.mean)
        parts = self._parts([trial], extra=1.0)
        known = None if parts is None else [over_rows(validation), over_rows(scores.by_row), *parts]
        return _interval(gap, known).within(-self._width, self._width)

    @property
    def _sign(self) -> int:
        return 1 if self.larger_is_better else -1

    @property
    def _width(self) -> float:
        """The largest difference that two values of the metric can have."""
        lowest, highest = self.bounds
        return highest - lowest

    @cached_property
    def best_set(self) -> Mapping[Point, bool | None]:
        """Which trials may be the best: those that no other trial exceeds by more than chance does.

        The best trial is left out in at most 5 % of studies (Hsu). A trial has None where it cannot be said.
        """
        return {trial: self._may_be_best(trial) for trial in self.trials}

    @cached_property
    def near_best(self) -> frozenset[Point]:
        """Which of the trials that may be the best are no more than one standard error behind the best mean.

        The error is that of the difference over rows and seeds. The best mean itself is among them; there are none
        where it cannot be said which trials may be the best.
        """
        able = [trial for trial, may in self.best_set.items() if may]
        best = max(able, key=lambda trial: self._sign * self.trials[trial].mean, default=None)
        return frozenset(trial for trial in able if best is not None and not self._is_beyond_one_error(best, trial))

    def _is_beyond_one_error(self, one: Point, other: Point) -> bool:
        gap, parts = self._gap(one, other)
        return parts is None or gap > standard_error(parts)

    def _may_be_best(self, trial: Point) -> bool | None:
        found = [self._exceeds(other, trial) for other in self.trials if other != trial]
        return False if any(found) else None if None in found else True

    def _exceeds(self, one: Point, other: Point) -> bool | None:
        """Whether `one` is better than `other` by more than the critical value; None if the variance is unknown."""
        gap, parts = self._gap(one, other)
        return None if parts is None else gap > reach(parts, self._level)

    def _gap(self, one: Point, other: Point) -> tuple[float, list[Part] | None]:
        """By how much `one` is better than `other`, and the variance of that; None if it is unknown."""
        ours, theirs = self.trials[one], self.trials[other]
        parts = self._parts([one, other])
        known = None if parts is None else [over_rows(ours.by_row - theirs.by_row), *parts]
        return self._sign * (ours.mean - theirs.mean), known

    @property
    def _level(self) -> float:
        """One-sided, and shared among the comparisons of one trial with the others (Bonferroni), as Hsu's rule allows.
        Two trials are compared as strictly as three, so that what is said agrees with `difference`, a two-sided one."""
        return 1 - (1 - CONFIDENCE) / max(len(self.trials) - 1, 2)

    def _interval(self, mean: float, by_row: Floats, trials: Sequence[Point]) -> Interval:
        parts = self._parts(trials)
        return _interval(mean, None if parts is None else [over_rows(by_row), *parts])

    def _parts(self, trials: Sequence[Point], extra: float = 0.0) -> list[Part] | None:
        """What the seeds of these trials add, with `extra` more runs of each; None if that is unknown."""
        weights = {n: extra + 1 / self.trials[n].seeds for n in trials if self.trials[n].random}
        if not weights:
            return []
        return self.seed_variance.parts(weights) if self.seed_variance else None


def _interval(mean: float, parts: Sequence[Part] | None) -> Interval:
    if parts is None:
        return Interval(mean, None, None)
    margin = reach(parts, 1 - (1 - CONFIDENCE) / 2)
    return Interval(mean, mean - margin, mean + margin)


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


def spread(scores: Sequence[float]) -> Spread:
    """Mean and standard deviation of at least one score.

    >>> spread([1.0, 2.0, 3.0])
    Spread(mean=2.0, deviation=1.0, seeds=3)
    """
    mean = math.fsum(scores) / len(scores)
    if len(scores) < 2:
        return Spread(mean, None, len(scores))
    return Spread(mean, math.sqrt(math.fsum((s - mean) ** 2 for s in scores) / (len(scores) - 1)), len(scores))


def pooled_deviation(spreads: Iterable[Spread | None]) -> float | None:
    """The standard deviation within several groups of scores; None if none of them has two scores.

    >>> pooled_deviation([spread([1.0, 3.0]), spread([1.0, 1.0]), spread([5.0])])
    1.0
    """
    known = [(s.deviation**2, s.seeds - 1) for s in spreads if s is not None and s.deviation is not None]
    return math.sqrt(sum(v * n for v, n in known) / sum(n for _, n in known)) if known else None
