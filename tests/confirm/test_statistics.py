"""The intervals against numbers worked out by hand, against their own model, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import t

from peftsearch.confirm.statistics import Comparison, Interval, Scores, spread

RNG = np.random.default_rng(4)


def scores(values: object, random: bool = True) -> Scores:
    return Scores(np.array(values, dtype=np.float64), random)


def by_share(right: int, rows: int = 100, random: bool = False) -> Scores:
    """A trial without chance that labels the first `right` rows right."""
    return scores([[1.0] * right + [0.0] * (rows - right)], random)


def close(found: Interval, mean: float, low: float, high: float) -> bool:
    return (found.mean, found.low, found.high) == (pytest.approx(mean), pytest.approx(low), pytest.approx(high))


def test_mean_and_deviation_by_hand() -> None:
    found = spread([0.80, 0.82, 0.84])
    assert (found.mean, found.deviation, found.seeds) == (pytest.approx(0.82), pytest.approx(0.02), 3)
    assert spread([0.5]).deviation is None


def test_without_chance_the_rows_alone_decide() -> None:
    """80 of 100 rows right: the variance of the mean is 0.8 · 0.2 / 99."""
    found = Comparison({0: by_share(80)}).interval(0)
    margin = t.ppf(0.975, 99) * math.sqrt(0.8 * 0.2 / 99)
    assert close(found, 0.8, 0.8 - margin, 0.8 + margin)


def test_rows_and_seeds_by_hand() -> None:
    """Two trials, two seeds, four rows, worked out with a pencil.

    By row, the seeds' means differ by 0.5, 0, 0, 0.5: mean 0.25, variance 1/12, over 4 rows 1/48. Trial 0 scores 0.75
    and 0.5, so its own s² is 1/32; trial 1 scores 0.25 and 0.5, 1/32 too, and so is the pooled one. The interaction of
    trial 0 has deviations of a quarter of the rows' ±: squares 1/2 in all, less 4 rows · 1/32 = 3/8, over 3 degrees of
    freedom 1/8, over 4 rows 1/32. Nothing is left of s² - interaction / n, and V = 1/48. Satterthwaite's formula gives
    0.68 degrees of freedom, fewer than any part has; the least known part has 1.
    """
    one, other = scores([[1, 1, 1, 0], [1, 1, 0, 0]]), scores([[0, 1, 0, 0], [1, 1, 0, 0]])
    comparison = Comparison({0: one, 1: other})
    found = comparison.seed_variance
    assert found is not None
    assert found.scores[0].variance == pytest.approx(1 / 32)
    assert found.pooled == pytest.approx(1 / 32)
    assert found.interaction == {0: pytest.approx(1 / 32), 1: pytest.approx(1 / 32)}
    margin = t.ppf(0.975, 1) * math.sqrt(1 / 48)
    assert close(comparison.difference(0, 1), 0.25, 0.25 - margin, 0.25 + margin)


def test_seeds_that_move_all_rows_alike_add_their_whole_variance() -> None:
    """No row differs, so V = s² / 3 with 2 degrees of freedom: Student's interval of the mean."""
    found = Comparison({0: scores([[0.80] * 50, [0.82] * 50, [0.84] * 50])}).interval(0)
    margin = 4.302653 * 0.02 / math.sqrt(3)
    assert close(found, 0.82, 0.82 - margin, 0.82 + margin)


def test_half_of_a_trials_variance_between_seeds_is_that_of_all() -> None:
    quiet, noisy = scores([[0.5] * 9, [0.5] * 9]), scores([[0.3] * 9, [0.7] * 9])
    found = Comparison({0: quiet, 1: noisy}).seed_variance
    assert found is not None
    assert found.pooled == pytest.approx(0.04)
    assert sum(part.variance for part in found.parts({0: 1.0})) == pytest.approx(0.02)
    assert sum(part.variance for part in found.parts({1: 1.0})) == pytest.approx(0.06)


def test_a_trial_with_one_seed_gets_the_variance_of_the_others() -> None:
    single, several = scores([[0.5] * 9]), scores([[0.4] * 9, [0.6] * 9])
    comparison = Comparison({0: single, 1: several})
    margin = t.ppf(0.975, 1) * math.sqrt(0.02)
    assert close(comparison.interval(0), 0.5, 0.5 - margin, 0.5 + margin)
    assert comparison.best_set == {0: True, 1: True}


def test_without_a_second_seed_anywhere_nothing_is_said_of_random_trials() -> None:
    comparison = Comparison({0: by_share(95, random=True), 1: by_share(5), 2: by_share(6)})
    assert comparison.seed_variance is None
    assert comparison.interval(0) == Interval(0.95, None, None)
    assert comparison.difference(0, 1).told_apart is None
    assert comparison.difference(2, 1).told_apart is False
    assert comparison.best_set == {0: None, 1: None, 2: None}


def test_what_is_known_to_be_worse_is_left_out_although_others_are_unknown() -> None:
    comparison = Comparison({0: by_share(95, random=True), 1: by_share(5), 2: by_share(60)})
    assert comparison.best_set == {0: None, 1: False, 2: None}


def test_two_trials_that_differ_in_one_row_of_a_thousand_both_may_be_the_best() -> None:
    comparison = Comparison({0: by_share(900, 1000), 1: by_share(901, 1000)})
    found = comparison.difference(1, 0)
    margin = t.ppf(0.975, 999) * 0.001
    assert close(found, 0.001, 0.001 - margin, 0.001 + margin)
    assert found.told_apart is False
    assert comparison.best_set == {0: True, 1: True}


@pytest.mark.parametrize("random", [True, False])
def test_the_same_predictions_both_may_be_the_best(random: bool) -> None:
    values = (RNG.random((3 if random else 1, 200)) < 0.8).astype(float)
    comparison = Comparison({0: scores(values, random), 1: scores(values, random)})
    found = comparison.difference(0, 1)
    assert (found.mean, found.told_apart) == (0.0, False)
    assert comparison.best_set == {0: True, 1: True}


def test_clear_gaps_leave_trials_out_in_either_direction() -> None:
    trials = {7: by_share(90), 3: by_share(60), 5: by_share(89)}
    assert Comparison(trials).best_set == {7: True, 3: False, 5: True}
    assert Comparison(trials, larger_is_better=False).best_set == {7: False, 3: True, 5: False}


def test_the_more_trials_the_larger_the_gap_that_leaves_one_out() -> None:
    """Among two or three trials the critical value is t(0.975), among six it is t(0.99)."""
    best = by_share(500, 1000)
    worse = by_share(495, 1000)  # t is 2.24: five rows, all in favour of the best
    assert Comparison({0: best, 1: worse}).best_set[1] is False
    assert Comparison({0: best, 1: worse, **dict.fromkeys(range(2, 6), best)}).best_set[1] is True


def test_the_best_set_of_two_agrees_with_their_interval() -> None:
    for seed in range(40):
        values = np.random.default_rng(seed).random((2, 3, 60)) + np.array([0.0, 0.1])[:, None, None]
        comparison = Comparison({0: scores(values[0]), 1: scores(values[1])})
        assert (False in comparison.best_set.values()) == comparison.difference(0, 1).told_apart


@pytest.mark.parametrize("larger_is_better", [True, False])
def test_near_the_best_mean_is_within_one_standard_error_of_the_difference(larger_is_better: bool) -> None:
    """Of 1,000 rows, trial 1 wins 8 and loses 10 (0.5 errors), trial 2 wins 6 and loses 12 (1.4), trial 3 loses 20."""
    rows = np.repeat([1.0, 0.0], 500)
    trials = {0: scores([rows], random=False)}
    for trial, (won, lost) in enumerate([(8, 10), (6, 12), (0, 20)], start=1):
        own = rows.copy()
        own[:lost], own[500 : 500 + won] = 0.0, 1.0
        trials[trial] = scores([own if larger_is_better else 1 - own], random=False)
    if not larger_is_better:
        trials[0] = scores([1 - rows], random=False)
    found = Comparison(trials, larger_is_better)
    assert found.best_set == {0: True, 1: True, 2: True, 3: False}
    assert found.near_best == {0, 1}


def test_near_the_best_mean_over_many_studies() -> None:
    """A two-sided interval of trials without chance is t standard errors wide to each side."""
    for seed in range(60):
        values = (np.random.default_rng(seed).random((6, 1, 80)) < 0.7).astype(float)
        found = Comparison({place: scores(own, random=False) for place, own in enumerate(values)})
        best = max(found.trials, key=lambda trial: found.trials[trial].mean)
        for trial in found.trials:
            gap = found.difference(best, trial)
            assert gap.high is not None
            error = (gap.high - gap.mean) / t.ppf(0.975, 79)
            assert math.isclose(gap.mean, error) or (trial in found.near_best) == (
                gap.mean < error and found.best_set[trial]
            )


def test_without_a_second_seed_none_is_near_the_best() -> None:
    assert Comparison({0: scores([[1, 1, 0]]), 1: scores([[1, 0, 0]])}).near_best == frozenset()


def test_unequal_numbers_of_seeds_weigh_by_their_own() -> None:
    values = [[0.4] * 9, [0.6] * 9, [0.4] * 9, [0.6] * 9]
    comparison = Comparison({0: scores(values), 1: scores(values[:2])})
    wide, narrow = comparison.interval(1), comparison.interval(0)
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low


def test_no_interval_of_a_trial_leaves_the_metrics_bounds() -> None:
    found = Comparison({0: by_share(99), 1: by_share(1)}, bounds=(0.0, 1.0))
    assert (found.interval(0).high, found.interval(1).low) == (1.0, 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_no_difference_is_wider_than_the_metrics_range(seed: int) -> None:
    """A class with one row of the split can give a pseudo-value of the number of rows."""
    draw = np.random.default_rng(seed)
    few = {n: scores(np.where(draw.random((3, 20)) < 0.05, 20.0, draw.random((3, 20)))) for n in range(2)}
    found = Comparison(few, bounds=(0.0, 1.0))
    assert Comparison(few).difference(0, 1).within(-1.0, 1.0) != Comparison(few).difference(0, 1)
    for interval in (found.difference(0, 1), found.overstatement(0, few[1].values[0])):
        assert interval.low is not None
        assert interval.high is not None
        assert -1.0 <= interval.low <= interval.high <= 1.0


def test_how_far_validation_overstates_test_by_hand() -> None:
    """Without chance: 45 of 50 rows of validation and 80 of 100 rows of test."""
    validation = by_share(45, 50).values[0]
    found = Comparison({0: by_share(80)}).overstatement(0, validation)
    parts = 0.9 * 0.1 / 49, 0.8 * 0.2 / 99
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 49 + parts[1] ** 2 / 99)
    margin = t.ppf(0.975, freedom) * math.sqrt(sum(parts))
    assert close(found, 0.1, 0.1 - margin, 0.1 + margin)
    assert Comparison({0: by_share(80)}, larger_is_better=False).overstatement(0, validation).mean == pytest.approx(
        -0.1
    )


def test_overstatement_counts_the_seed_of_the_search_too() -> None:
    """V = s² (1 + 1 / 2) where no row differs, and s² = 0.02 with one degree of freedom."""
    found = Comparison({0: scores([[0.4] * 9, [0.6] * 9])}).overstatement(0, np.full(9, 0.8))
    margin = t.ppf(0.975, 1) * math.sqrt(0.02 * 1.5)
    assert close(found, 0.3, 0.3 - margin, 0.3 + margin)


def test_intervals_cover_the_truth_of_their_own_model_as_often_as_they_say() -> None:
    """Rows, seeds and interactions are drawn anew; the truth of each trial is 0."""
    rng, covered, repetitions = np.random.default_rng(0), 0, 400
    for _ in range(repetitions):
        row, seed = rng.standard_normal((2, 1, 40)), 0.1 * rng.standard_normal((2, 3, 1))
        values = row + seed + 0.5 * rng.standard_normal((2, 3, 40))
        covered += not Comparison({0: scores(values[0]), 1: scores(values[1])}).difference(0, 1).told_apart
    assert 0.93 <= covered / repetitions <= 0.98
