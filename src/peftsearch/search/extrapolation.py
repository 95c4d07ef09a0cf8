"""How good a learning curve can still become, told from its first epochs and from earlier trials' whole curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peftsearch.core.pareto import Array

FIT_POINTS = 3
"""Epochs that a power law is fitted to, at least."""

RATIO_CURVES = 5
"""Whole curves that the remaining-error ratio is taken from, at least."""

OPTIMISTIC_QUANTILE = 0.1
EXPONENTS = np.geomspace(0.1, 3.0, 24)
DEVIATIONS = 2.0


def optimistic_best(curve: Sequence[float], others: Sequence[Sequence[float]], epochs: int) -> float:
    """The best value (0..1, more is better) that `curve` could have reached after `epochs`, at its luckiest.

    The larger of what its own power law promises and what the luckiest tenth of the other curves did from the same
    epoch on. 1.0, which rules nothing out, where neither can be told. `docs/performance.md` has what each of them, and
    a fitted model in their place, save and stop wrongly on recorded curves.

    Args:
        curve: the value after each epoch so far.
        others: for trials that ended, the best value so far after each epoch.
    """
    now = max(curve)
    if epochs <= len(curve):
        return now
    found = [end for end in (by_power_law(curve, epochs), by_ratio(curve, others, epochs)) if end is not None]
    return max(now, *found) if found else 1.0


def by_ratio(curve: Sequence[float], others: Sequence[Sequence[float]], epochs: int) -> float | None:
    """The error so far, times the share of it that the luckiest tenth of other curves kept until `epochs`.

    A curve that early stopping ended before stays at its best: that is what its trial came to.
    """
    now = len(curve)
    ratios = [
        (1 - other[min(epochs, len(other)) - 1]) / (1 - other[now - 1])
        for other in others
        if len(other) > now and other[now - 1] < 1
    ]
    if len(ratios) < RATIO_CURVES:
        return None
    return 1 - (1 - max(curve)) * float(np.quantile(ratios, OPTIMISTIC_QUANTILE))


def by_power_law(curve: Sequence[float], epochs: int) -> float | None:
    """error = c + a·epoch^-b, fitted to the best so far by least squares, less two deviations of the residuals."""
    if len(curve) < FIT_POINTS:
        return None
    errors = 1 - np.maximum.accumulate(np.asarray(curve, dtype=np.float64))
    fits = [_linear_fit(errors, exponent, epochs) for exponent in EXPONENTS]
    end, squares = min(fits, key=lambda fit: fit[1])
    return float(min(1.0, 1 - max(0.0, end - DEVIATIONS * np.sqrt(squares / len(errors)))))


def _linear_fit(errors: Array, exponent: float, epochs: int) -> tuple[float, float]:
    """The error after `epochs` and the sum of squares, of the best c ≥ 0 and a ≥ 0 for this exponent."""
    x = np.arange(1, len(errors) + 1, dtype=np.float64) ** -exponent
    spread = x - x.mean()
    slope = max(0.0, float(spread @ errors / (spread @ spread)))
    floor = float(errors.mean() - slope * x.mean())
    if floor < 0:  # an error below none: through the origin instead
        floor, slope = 0.0, max(0.0, float(x @ errors / (x @ x)))
    end = floor + slope * epochs**-exponent
    return end, float(((errors - floor - slope * x) ** 2).sum())
