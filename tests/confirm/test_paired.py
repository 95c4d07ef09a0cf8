"""The paired rule over seeds, against SciPy and against numbers worked out by hand."""

from __future__ import annotations

import pytest
from scipy.stats import ttest_rel

from peftsearch.confirm.statistics import paired_difference

ONE = {43: 0.80, 44: 0.82, 45: 0.84, 46: 0.81}
OTHER = {43: 0.78, 44: 0.81, 45: 0.80, 46: 0.80}


def test_the_interval_is_student_s() -> None:
    found = paired_difference(ONE, OTHER)
    expected = ttest_rel(list(ONE.values()), list(OTHER.values())).confidence_interval(0.95)
    assert found is not None
    assert (found.low, found.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert (found.mean, found.seeds, found.told_apart) == (pytest.approx(0.02), 4, False)


def test_the_interval_by_hand() -> None:
    """Differences 0.01, 0.02, 0.03: mean 0.02, deviation 0.01, t(0.975; 2) = 4.3027."""
    found = paired_difference({1: 0.51, 2: 0.52, 3: 0.53}, {1: 0.50, 2: 0.50, 3: 0.50})
    assert found is not None
    reach = 4.302653 * 0.01 / 3**0.5
    assert (found.low, found.high) == (pytest.approx(0.02 - reach, abs=1e-6), pytest.approx(0.02 + reach, abs=1e-6))


def test_only_seeds_that_both_have_are_compared() -> None:
    found = paired_difference({1: 0.5, 2: 0.6, 3: 0.7, 9: 0.0}, {1: 0.4, 2: 0.5, 3: 0.6, 8: 1.0})
    assert found is not None
    assert (found.mean, found.seeds, found.told_apart) == (pytest.approx(0.1), 3, True)
    assert paired_difference({1: 0.5}, {2: 0.5}) is None


def test_one_seed_tells_nothing() -> None:
    found = paired_difference({1: 0.9}, {1: 0.1})
    assert found is not None
    assert (found.low, found.high, found.told_apart) == (None, None, None)


def test_what_is_not_random_is_the_same_with_every_seed() -> None:
    found, back = paired_difference(ONE, 0.8), paired_difference(0.8, ONE)
    assert found is not None
    assert back is not None
    assert (found.seeds, found.mean) == (4, pytest.approx(0.0175))
    assert (back.low, back.high) == (pytest.approx(-found.high), pytest.approx(-found.low))  # type: ignore[operator]
    sure = paired_difference(0.5, 0.4)
    assert sure is not None
    assert (sure.told_apart, sure.seeds) == (True, 0)


def test_identical_differences_have_an_interval_without_width(recwarn: pytest.WarningsRecorder) -> None:
    found = paired_difference({1: 0.75, 2: 0.5, 3: 0.25}, {1: 0.5, 2: 0.25, 3: 0.0})
    assert found is not None
    assert (found.mean, found.low, found.high, found.told_apart) == (0.25, 0.25, 0.25, True)
    equal = paired_difference({1: 0.75, 2: 0.5}, {1: 0.75, 2: 0.5})
    assert equal is not None
    assert (equal.low, equal.high, equal.told_apart) == (0.0, 0.0, False)
    assert list(recwarn) == []
