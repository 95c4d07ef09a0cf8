"""Rows of the front: who is on it, in which order, and what each costs beside full fine-tuning."""

from __future__ import annotations

from dataclasses import replace

import pytest

from peftsearch.core.constraints import Constraint, checks_of
from peftsearch.results.front import best_of_methods, front, rows
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config

FULL = complete(0, "full", 0.90, 100_000, 40.0)
LORA = complete(1, "lora", 0.88, 2_000, 20.0)
PROBE = complete(2, "probe", 0.70, 500, 5.0)
WASTE = complete(3, "frozen", 0.60, 50_000, 30.0)


def test_the_front_holds_what_nothing_dominates_best_quality_first() -> None:
    assert [row.record.number for row in front([WASTE, PROBE, LORA, FULL], OBJECTIVES)] == [0, 1, 2]


def test_rows_keep_the_dominated_trials_and_say_so() -> None:
    assert [(row.record.number, row.on_front) for row in rows([LORA, WASTE], OBJECTIVES)] == [(1, True), (3, False)]


def test_the_best_of_each_method_on_the_front_or_not() -> None:
    worse = complete(5, "full", 0.50, 90_000, 1_000.0)
    best = best_of_methods(rows([worse, PROBE, WASTE, FULL, LORA], OBJECTIVES))
    assert [(row.record.number, row.on_front) for row in best] == [(0, True), (1, True), (2, True), (3, False)]


def test_only_complete_trials_count() -> None:
    pruned = replace(complete(4, "lora", 0.99, 1, 0.1), state="pruned", values={}, measurement=None)
    running = Record(5, "running", config())
    assert [row.record.number for row in rows([pruned, running, PROBE], OBJECTIVES)] == [2]


def test_no_trials_no_rows() -> None:
    assert rows([], OBJECTIVES) == []


def test_equal_trials_are_both_on_the_front() -> None:
    twin = complete(7, "probe", 0.70, 500, 5.0)
    assert [row.record.number for row in front([twin, PROBE], OBJECTIVES)] == [2, 7]


def test_shares_are_of_the_best_full_fine_tuning_of_the_same_backbone() -> None:
    worse = complete(5, "full", 0.50, 90_000, 1_000.0)
    elsewhere = complete(6, "full", 0.99, 400_000, 400.0, backbone="tiny/roberta")
    row = next(row for row in rows([worse, FULL, elsewhere, LORA], OBJECTIVES) if row.record is LORA)
    assert row.parameters_share == pytest.approx(0.02)
    assert row.time_share == pytest.approx(0.5)


def test_without_full_fine_tuning_parameters_are_of_all_and_time_is_unknown() -> None:
    row = rows([LORA], OBJECTIVES)[0]
    assert row.parameters_share == pytest.approx(0.02)
    assert row.time_share is None


def test_a_model_without_an_encoder_is_compared_with_those_that_have_one() -> None:
    words = complete(5, "tfidf", 0.60, 5_000, 0.2)
    assert words.measurement
    words = replace(words, measurement=replace(words.measurement, total_parameters=5_000))
    shares = {row.config.method: row.parameters_share for row in rows([words, LORA], OBJECTIVES)}
    assert shares == {"tfidf": pytest.approx(0.05), "lora": pytest.approx(0.02)}


def test_a_study_that_maximises_nothing_is_sorted_by_its_first_objective() -> None:
    assert [row.record.number for row in rows([FULL, PROBE, LORA], ("train_seconds",))] == [2, 1, 0]


SMALL = Constraint("trainable_parameters", 10_000)


def checked(record: Record, *constraints: Constraint) -> Record:
    assert record.measurement is not None
    return replace(record, checks=checks_of(constraints, record.measurement))


def test_what_breaks_a_constraint_is_not_on_the_front_and_dominates_nothing_there() -> None:
    cheap = complete(4, "full", 0.95, 20_000, 1.0)  # dominates all others
    found = rows([checked(record, SMALL) for record in (cheap, LORA, PROBE, WASTE)], OBJECTIVES)
    assert [(row.record.number, row.on_front) for row in found] == [(4, False), (1, True), (2, True), (3, False)]


def test_the_best_of_each_method_breaks_no_constraint_if_one_of_them_does_not() -> None:
    small = complete(4, "full", 0.5, 9_000, 1.0)
    best = best_of_methods(rows([checked(record, SMALL) for record in (FULL, small, WASTE)], OBJECTIVES))
    assert [row.record.number for row in best] == [3, 4]


def test_a_constraint_that_was_not_measured_keeps_nothing_off_the_front() -> None:
    assert [row.on_front for row in rows([checked(LORA, Constraint("latency_ms", 1.0))], OBJECTIVES)] == [True]
