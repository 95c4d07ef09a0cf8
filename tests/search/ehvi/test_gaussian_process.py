from __future__ import annotations

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from scipy.optimize import check_grad

from peftsearch.search.ehvi.encoding import Encoding, Points
from peftsearch.search.ehvi.gaussian_process import LEARNT, GaussianProcess, distances

ENCODING = Encoding(
    {
        "method": CategoricalDistribution(["a", "b"]),
        "a.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
        "b.learning_rate": FloatDistribution(1e-3, 1e-1, log=True),
        "a.head": CategoricalDistribution(["linear", "mlp"]),
    }
)


def drawn(method: int, count: int, seed: int = 0) -> Points:
    return ENCODING.drawn(method, count, np.random.default_rng(seed))


def rates(points: Points) -> np.ndarray:
    return points.columns[:, list(ENCODING.shared).index(True)]


def fitted(points: Points, values: np.ndarray) -> GaussianProcess:
    return GaussianProcess(distances(points, points, ENCODING), values, noise=0.05)


def test_the_gradient_of_the_posterior_density() -> None:
    points = drawn(0, 12)
    process = fitted(points, np.sin(5 * rates(points)))
    for seed in range(3):
        logs = process._prior + np.random.default_rng(seed).normal(0, 0.5, len(process._prior))
        wrong = check_grad(lambda x: process._loss(x)[0], lambda x: process._loss(x)[1], logs)
        assert wrong < 1e-3 * np.linalg.norm(process._loss(logs)[1])


def test_it_learns_what_a_setting_does_and_is_surer_near_what_it_has_seen() -> None:
    points, others = drawn(0, 30), drawn(0, 50, seed=1)
    process = fitted(points, np.sin(4 * rates(points)))
    mean, deviation = process.forecast(distances(others, points, ENCODING))
    assert np.abs(mean - np.sin(4 * rates(others))).max() < 0.15
    _, unseen = process.forecast(distances(drawn(1, 5), points, ENCODING))
    assert unseen.min() > 2 * deviation.max()


def test_a_method_with_one_trial_learns_from_the_learning_rates_of_another() -> None:
    points = Points(np.append(drawn(0, 20).method, 1), np.vstack([drawn(0, 20).columns, drawn(1, 1).columns]))
    process = fitted(points, np.where(points.method == 0, 0.5, 0.0) - (rates(points) - 0.8) ** 2)
    low, high = drawn(1, 2), drawn(1, 2)
    place = list(ENCODING.shared).index(True)
    low.columns[:, place], high.columns[:, place] = 0.1, 0.8
    forecast = [process.forecast(distances(each, points, ENCODING))[0][0] for each in (low, high)]
    assert forecast[1] > forecast[0] + 0.05


def test_equal_values_are_forecast_as_they_are() -> None:
    points = drawn(0, 4)
    assert fitted(points, np.full(4, 0.7)).forecast(distances(points, points, ENCODING))[0] == pytest.approx(0.7)


def test_forecasts_are_from_all_points_though_the_last_ones_alone_teach_the_length_scales() -> None:
    points = drawn(0, LEARNT + 20)
    place = list(ENCODING.shared).index(True)
    points.columns[:20, place] *= 0.2
    points.columns[20:, place] = 0.5 + 0.5 * points.columns[20:, place]
    values = np.sin(4 * rates(points))
    early = points.where(np.arange(len(points)) < 20)
    found = fitted(points, values).forecast(distances(early, points, ENCODING))[0]
    assert np.abs(found - values[:20]).max() < 0.1
    late = points.where(np.arange(len(points)) >= 20)
    unseen = fitted(late, values[20:]).forecast(distances(early, late, ENCODING))[0]
    assert np.abs(unseen - values[:20]).max() > 0.3, "what the last points alone would say"
