"""A Gaussian process over configurations: which method, and settings that belong to the method.

Its covariance is a sum of three parts: what a method's configurations have in common; a squared exponential over the
method's own settings; and one over the settings that all methods have, such as the learning rate's place within the
method's range, through which methods learn from each other. Each setting has one length scale, whichever method has it.

Optuna's `GPSampler` models only the dimensions that all trials share, and BoTorch has no kernel over a space in which
each method has settings of its own. Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006),
chapters 2 and 5; the hyperparameters are those of largest posterior density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.front.pareto import Array
from peftsearch.search.ehvi.encoding import Encoding, Points

PRIOR = (0.5, 0.5, 0.25)
"""Medians of the variances of the three parts, where all values together have variance 1."""

LENGTH = 0.4
"""The median of a length scale; the range of a setting has length 1."""

SPREAD_VARIANCE, SPREAD_LENGTH = 1.0, 0.7
"""Standard deviations of the logarithms of variances and length scales."""

STEPS = 30
"""The most steps of the search for hyperparameters."""

LEARNT = 100
"""The hyperparameters are learnt from so many points at most, the last ones; forecasts are from all of them."""

JITTER = 1e-6


@dataclass(frozen=True)
class Distances:
    """How far points are from other points.

    Attributes:
        same: shape (a, b): 1 where the method is the same, else 0.
        away: shape (columns, a, b): squared differences; of a nominal column, whether the values differ.
        shared: shape (columns,): 1 where all methods have the column, else 0.
    """

    same: Array
    away: Array
    shared: Array

    def among(self, some: NDArray[np.bool_]) -> Distances:
        """The distances of some of the points from each other."""
        away = np.ascontiguousarray(self.away[:, some][:, :, some])  # else each use would copy it
        return Distances(self.same[some][:, some], away, self.shared)


def distances(a: Points, b: Points, encoding: Encoding) -> Distances:
    """How far each of the points `a` is from each of the points `b`."""
    away = (a.columns.T[:, :, None] - b.columns.T[:, None, :]) ** 2
    away[encoding.nominal] = away[encoding.nominal] > 0
    same = (a.method[:, None] == b.method[None, :]).astype(np.float64)
    return Distances(same, away, encoding.shared.astype(np.float64))


class GaussianProcess:
    """Fitted to values at points.

    Args:
        among: the distances of the points from each other.
        values: shape (points,), at least one.
        noise: the median of the standard deviation of a value's noise, as a share of that of all values.
    """

    def __init__(self, among: Distances, values: Array, noise: float) -> None:
        from scipy.optimize import minimize

        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        scaled = (values - self._mean) / self._scale
        last = np.arange(len(values)) >= len(values) - LEARNT
        self._values, self._among = scaled[last], among.among(last)
        columns = len(among.away)
        self._prior = np.log([*PRIOR, noise**2, *[LENGTH] * columns])
        self._spread = np.array([SPREAD_VARIANCE] * 4 + [SPREAD_LENGTH] * columns)
        bounds = np.column_stack([self._prior - 4 * self._spread, self._prior + 4 * self._spread])
        found = minimize(
            self._loss, self._prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
        )
        self._logs: Array = found.x
        covariance = sum(_parts(self._logs, among)) + _noise(self._logs, len(scaled))
        self._factor = np.linalg.cholesky(covariance)
        self._weights = np.linalg.solve(covariance, scaled)

    def forecast(self, away: Distances, known: NDArray[np.bool_] | slice = slice(None)) -> tuple[Array, Array]:
        """Forecast the value of other points, without the noise.

        Args:
            away: the distances of the other points from points.
            known: which of the latter the process was fitted to.

        Returns:
            Means and standard deviations, each of shape (other points,).
        """
        from scipy.linalg import solve_triangular

        cross = np.asarray(sum(_parts(self._logs, away)))[:, known]
        explained = (solve_triangular(self._factor, cross.T, lower=True) ** 2).sum(axis=0)
        variance = np.maximum(np.exp(self._logs[:3]).sum() - explained, JITTER)
        return self._mean + self._scale * (cross @ self._weights), self._scale * np.sqrt(variance)

    def _loss(self, logs: Array) -> tuple[float, Array]:
        """The negative logarithm of the posterior density of hyperparameters, and its gradient."""
        method, own, common = _parts(logs, self._among)
        covariance = method + own + common + _noise(logs, len(self._values))
        inverse = np.linalg.inv(covariance)
        weights = inverse @ self._values
        slope = 0.5 * (inverse - np.outer(weights, weights))
        off = (logs - self._prior) / self._spread
        loss = 0.5 * (self._values @ weights + np.linalg.slogdet(covariance)[1] + off @ off)
        flat = self._among.away.reshape(len(self._among.away), -1)
        inner, outer = (slope * own).ravel(), (slope * common).ravel()
        lengths = np.exp(-2 * logs[4:]) * (flat @ inner + self._among.shared * (flat @ outer))
        variances = [(slope * method).sum(), inner.sum(), outer.sum(), np.exp(logs[3]) * np.trace(slope)]
        return float(loss), np.concatenate([variances, lengths]) + off / self._spread


def _noise(logs: Array, points: int) -> Array:
    return np.asarray((np.exp(logs[3]) + JITTER) * np.eye(points))


def _parts(logs: Array, away: Distances) -> Sequence[Array]:
    """The three parts of the covariance under the logarithms of variances, noise and length scales."""
    weights, variances = -0.5 * np.exp(-2 * logs[4:]), np.exp(logs[:3])
    own = np.exp(np.tensordot(weights, away.away, axes=1))
    common = np.exp(np.tensordot(weights * away.shared, away.away, axes=1))
    return variances[0] * away.same, variances[1] * away.same * own, variances[2] * common
