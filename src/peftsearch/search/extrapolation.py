"""Optimistic extrapolation of a learning curve from its first epochs and from the whole curves of earlier trials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peftsearch.core.front.pareto import Array

FIT_POINTS = 3
"""A power law is fitted to at least this many epochs."""

RATIO_CURVES = 5
"""The ratio of remaining errors is taken from at least this many whole curves."""

OPTIMISTIC_QUANTILE = 0.1
"""A forecast is as good as what this share of earlier trials came to, so one trial in ten may do better."""

ALIKE = 3
"""A curve of the same tuning method counts as so many of others, since methods differ in how fast they learn."""

EXPONENTS = np.geomspace(0.1, 3.0, 24)
"""The exponents among which the power law's one is searched."""

DEVIATIONS = 2.0
"""The power law's end is lowered by so many standard deviations of its residuals."""


def optimistic_best(
    curve: Sequence[float],
    others: Sequence[Sequence[float]],
    epochs: int,
    alike: Sequence[Sequence[float]] = (),
) -> float:
    """Extrapolate optimistically the best value that `curve` reaches within `epochs`.

    The result is the larger of two forecasts: a power law fitted to the curve, and the improvement that the luckiest
    tenth of the other curves made from the same epoch on. It is optimistic but no bound. `docs/performance.md` says
    what each forecast saves on recorded curves and how often it stops a trial wrongly.

    Args:
        curve: the value after each epoch so far, in 0..1, where more is better.
        others: for each trial that has ended, the best value until then after each epoch.
        epochs: the number of epochs after which the trial ends.
        alike: those of `others` that are of the same tuning method.

    Returns:
        The value in 0..1; 1.0, which rules nothing out, if neither forecast can be made.
    """
    now = max(curve)
    if epochs <= len(curve):
        return now
    ends = by_power_law(curve, epochs), by_ratio(curve, others, epochs, alike=alike)
    found = [end for end in ends if end is not None]
    return max(now, *found) if found else 1.0


def by_ratio(
    curve: Sequence[float],
    others: Sequence[Sequence[float]],
    epochs: int,
    quantile: float = OPTIMISTIC_QUANTILE,
    alike: Sequence[Sequence[float]] = (),
) -> float | None:
    """Multiply the remaining error by a quantile of the ratios by which other curves reduced theirs.

    A curve that early stopping ended before `epochs` counts with its best value, which is what its trial came to. Those
    of `others` that are `alike` count `ALIKE` times.

    Returns:
        The value after `epochs`; None if too few other curves are longer than this one.
    """
    ratios = _ratios(len(curve), others, epochs)
    if len(ratios) < RATIO_CURVES:
        return None
    ratios += (ALIKE - 1) * _ratios(len(curve), alike, epochs)
    return 1 - (1 - max(curve)) * float(np.quantile(ratios, quantile))


def by_power_law(curve: Sequence[float], epochs: int) -> float | None:
    """Fit error = c + a·epoch^-b to the best value so far, and lower its end by two deviations of the residuals.

    Returns:
        The value after `epochs`; None if the curve has too few epochs for a fit.
    """
    if len(curve) < FIT_POINTS:
        return None
    errors = 1 - np.maximum.accumulate(np.asarray(curve, dtype=np.float64))
    fits = [_linear_fit(errors, exponent, epochs) for exponent in EXPONENTS]
    end, squares = min(fits, key=lambda fit: fit[1])
    return float(min(1.0, 1 - max(0.0, end - DEVIATIONS * np.sqrt(squares / len(errors)))))


def _ratios(now: int, others: Sequence[Sequence[float]], epochs: int) -> list[float]:
    """By how much each curve that is longer than `now` epochs reduced its remaining error from there to `epochs`."""
    return [
        (1 - other[min(epochs, len(other)) - 1]) / (1 - other[now - 1])
        for other in others
        if len(other) > now and other[now - 1] < 1
    ]


def _linear_fit(errors: Array, exponent: float, epochs: int) -> tuple[float, float]:
    """Fit c ≥ 0 and a ≥ 0 for this exponent by least squares: the error after `epochs`, and the sum of squares."""
    x = np.arange(1, len(errors) + 1, dtype=np.float64) ** -exponent
    spread = x - x.mean()
    slope = max(0.0, float(spread @ errors / (spread @ spread)))
    floor = float(errors.mean() - slope * x.mean())
    if floor < 0:  # no error is below 0, so the line goes through the origin instead
        floor, slope = 0.0, max(0.0, float(x @ errors / (x @ x)))
    end = floor + slope * epochs**-exponent
    return end, float(((errors - floor - slope * x) ** 2).sum())
