from __future__ import annotations

import math

import numpy as np
import pytest

from peftsearch.core.front.volume import scaled, share_added

OBJECTIVES = ("macro_f1", "trainable_parameters")
FRONT = [[0.9, 1e6], [0.7, 1e4]]


def test_the_share_of_a_trial_is_what_no_earlier_one_dominates() -> None:
    losses, reference = scaled(np.array(FRONT), OBJECTIVES)
    assert reference[0] == 0
    assert reference[1] == pytest.approx(math.log(1e6) + 0.1 * math.log(100))
    assert losses.tolist() == [[-0.9, math.log(1e6)], [-0.7, math.log(1e4)]]
    decades_of_first, decades_of_second = 0.1 * 2, 1.1 * 2
    whole = 0.9 * decades_of_first + 0.7 * (decades_of_second - decades_of_first)
    assert share_added(FRONT, 1, OBJECTIVES) == pytest.approx(1 - 0.9 * decades_of_first / whole)


def test_a_trial_that_is_dominated_or_has_no_values_adds_nothing() -> None:
    assert share_added([*FRONT, [0.6, 1e5], [math.nan, math.nan]], 2, OBJECTIVES) == 0
    assert share_added([[math.nan] * 2, *FRONT], 1, OBJECTIVES) == 1
    assert share_added([[math.nan] * 2], 0, OBJECTIVES) == 0


def test_units_change_no_share() -> None:
    values = [[0.8, 5.0], [0.85, 60.0], [0.7, 2.0], [0.9, 30.0]]
    minutes = [[f1, seconds / 60] for f1, seconds in values]
    shares = [share_added(each, 2, ("macro_f1", "train_seconds")) for each in (values, minutes)]
    assert shares[0] == pytest.approx(shares[1])
    assert 0 < shares[0] < 1


def test_no_trainable_parameters_count_as_a_tenth_of_the_fewest() -> None:
    losses, _ = scaled(np.array([[0.5, 0.0], [0.9, 1000.0]]), OBJECTIVES)
    assert losses[0, 1] == pytest.approx(math.log(100))


def test_what_has_no_worst_value_begins_at_the_worst_trial() -> None:
    _, reference = scaled(np.array([[0.2, 10.0], [0.4, 40.0]]), ("expected_calibration_error", "throughput"))
    assert reference.tolist() == pytest.approx([0.42, -math.log(10) + 0.1 * math.log(4)])
