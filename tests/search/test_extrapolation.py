from __future__ import annotations

import numpy as np
import pytest

from peftsearch.search.extrapolation import by_power_law, by_ratio, optimistic_best


def curve(floor: float, gain: float, exponent: float, epochs: int) -> list[float]:
    return [float(1 - floor - gain * epoch**-exponent) for epoch in range(1, epochs + 1)]


@pytest.mark.parametrize(("floor", "gain", "exponent"), [(0.1, 0.3, 0.5), (0.2, 0.5, 1.0), (0.0, 0.4, 0.3)])
def test_a_power_law_is_recovered_from_five_epochs(floor: float, gain: float, exponent: float) -> None:
    whole = curve(floor, gain, exponent, 20)
    end = by_power_law(whole[:5], 20)
    assert end == pytest.approx(whole[-1], abs=0.02)


def test_a_power_law_needs_three_points() -> None:
    assert by_power_law([0.5, 0.6], 10) is None
    assert by_power_law([0.5, 0.6, 0.65], 10) is not None


def test_noise_makes_a_power_law_more_hopeful() -> None:
    rng = np.random.default_rng(0)
    clean = curve(0.2, 0.3, 0.7, 6)
    noisy = [np.clip(np.array(clean) + rng.normal(0, 0.03, 6), 0, 1).tolist() for _ in range(200)]
    ends = [by_power_law(values, 12) for values in noisy]
    true = curve(0.2, 0.3, 0.7, 12)[-1]
    assert np.mean([end >= true for end in ends if end is not None]) > 0.8


def test_a_flat_curve_promises_nothing() -> None:
    assert by_power_law([0.5] * 4, 10) == pytest.approx(0.5)


def test_an_extrapolation_stays_within_zero_and_one() -> None:
    end = by_power_law([0.1, 0.5, 0.9], 50)
    assert end is not None
    assert 0.9 <= end <= 1.0


def test_the_ratio_is_the_luckiest_tenths() -> None:
    others = [[0.5, 1 - 0.5 * ratio] for ratio in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)]
    ratio = float(np.quantile([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], 0.1))
    assert by_ratio([0.2], others, 2) == pytest.approx(1 - 0.8 * ratio)


def test_a_curve_of_the_same_method_counts_three_times() -> None:
    others = [[0.5, 1 - 0.5 * ratio] for ratio in (0.5, 0.6, 0.7, 0.8, 0.9)]
    for alike in ([others[4]], others[:2]):
        thrice = by_ratio([0.2], [*others, *alike, *alike], 2)
        assert by_ratio([0.2], others, 2, alike=alike) == pytest.approx(thrice)
    assert by_ratio([0.2], others[:4], 2, alike=others[:4]) is None, "four trials are too few, however alike they are"


def test_the_ratio_needs_five_curves_that_went_on() -> None:
    long, short = [[0.5, 0.6]] * 4, [[0.9]] * 10
    assert by_ratio([0.2], long + short, 2) is None
    assert by_ratio([0.2], [*long, [0.5, 0.6]], 2) == pytest.approx(1 - 0.8 * 0.8)


def test_a_curve_that_stopped_early_counts_with_its_best() -> None:
    assert by_ratio([0.2], [[0.5, 0.6, 0.6]] * 5, 10) == pytest.approx(1 - 0.8 * 0.8)


def test_the_more_hopeful_of_the_two_is_taken() -> None:
    flat, steep = [0.5, 0.5, 0.5], [[0.5, 0.5, 0.5, 0.9]] * 5
    assert optimistic_best(flat, steep, 4) == pytest.approx(0.9)
    rising, stuck = curve(0.1, 0.4, 1.0, 3), [[0.5, 0.5, 0.5, 0.5]] * 5
    assert optimistic_best(rising, stuck, 30) > rising[-1] + 0.05


def test_nothing_known_rules_nothing_out() -> None:
    assert optimistic_best([0.5], [], 4) == 1.0


def test_no_epochs_left_leaves_what_is_there() -> None:
    assert optimistic_best([0.5, 0.4], [], 2) == 0.5
