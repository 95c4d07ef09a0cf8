"""What the trials of a study say about how far its result can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from peftsearch.core.dimensions import Choice, Dimension, Range
from peftsearch.core.measurement import EpochReport
from peftsearch.results.audit import Audit, MethodAudit, audit_of, edge
from peftsearch.results.front import rows
from peftsearch.storage.records import Record
from tests.helpers.records import OBJECTIVES, complete, config, measurement, report

RATES = Range(1e-5, 1e-3, log=True)
SPACE: dict[str, Dimension] = {
    "method": Choice(("full", "lora", "tfidf")),
    "full.learning_rate": RATES,
    "lora.head_dropout": Range(0.0, 0.5),
}
NOON = datetime(2026, 1, 1, 12)


def looked_at(*records: Record) -> Audit:
    return audit_of(records, rows(records, OBJECTIVES), SPACE)


def method(found: Audit, name: str) -> MethodAudit:
    return next(one for one in found.methods if one.method == name)


def full(number: int, macro_f1: float, rate: float, **changes: Any) -> Record:
    found = complete(number, "full", macro_f1, 1000, 10.0)
    return replace(found, params={"method": "full", "full.learning_rate": rate}, **changes)


def losses(*values: float) -> tuple[EpochReport, ...]:
    return tuple(replace(report(place, 0.5), validation_loss=loss) for place, loss in enumerate(values, start=1))


def test_each_method_is_counted_also_one_without_a_trial() -> None:
    pruned = Record(1, "pruned", config("full"), curve=(report(1, 0.3),))
    failed = Record(2, "failed", config("lora"))
    found = looked_at(full(0, 0.8, 1e-4), pruned, failed, Record(3, "running", config("lora")), Record(4, "waiting"))
    counts = [(m.method, m.finished, m.pruned, m.failed, m.open, m.epochs, m.best) for m in found.methods]
    assert counts == [("full", 1, 1, 0, 0, 4, 0), ("lora", 0, 0, 1, 1, 0, None), ("tfidf", 0, 0, 0, 0, 0, None)]
    assert found.finished == 1


def test_three_finished_trials_are_enough_and_one_where_nothing_is_searched() -> None:
    found = looked_at(*(full(n, 0.8, 1e-4) for n in range(3)), complete(3, "tfidf", 0.7, 5, 1.0))
    assert {m.method: m.few for m in found.methods} == {"full": False, "lora": True, "tfidf": False}
    assert method(looked_at(full(0, 0.8, 1e-4), full(1, 0.8, 1e-3)), "full").few


@pytest.mark.parametrize(
    ("dimension", "value", "found"),
    [
        (RATES, 1.2e-5, "low"),
        (RATES, 1.3e-5, None),  # 5 % of two decades end at 1.26e-5
        (RATES, 7.9e-4, None),
        (RATES, 8e-4, "high"),
        (Range(0.0, 10.0), 0.5, "low"),
        (Range(0.0, 10.0), 0.51, None),
        (Range(1, 5, integer=True), 5, "high"),
        (Range(3.0, 3.0), 3.0, None),
        (Choice((16, 4, 64)), 64, "high"),
        (Choice((16, 4, 64)), 16, None),
        (Choice((4, 64)), 64, None),
        (Choice(("a", "b", "c")), "a", None),
        (Choice((True, False)), True, None),
        (Choice((1, 2, 3, "all")), 1, None),
    ],
)
def test_the_edges_of_what_is_searched(dimension: Dimension, value: Any, found: str | None) -> None:
    assert edge(dimension, value) == found


def test_the_best_trial_decides_where_a_method_lies() -> None:
    (rate,) = method(looked_at(full(0, 0.8, 1e-4), full(1, 0.9, 9.9e-4)), "full").dimensions
    assert (rate.name, rate.tried, rate.best, rate.edge) == ("learning_rate", 2, 9.9e-4, "high")
    (rate,) = method(looked_at(full(0, 0.95, 1e-4), full(1, 0.9, 9.9e-4)), "full").dimensions
    assert (rate.best, rate.edge) == (1e-4, None)


def test_a_single_value_lies_at_no_edge() -> None:
    (rate,) = method(looked_at(full(0, 0.8, 9.9e-4)), "full").dimensions
    assert (rate.tried, rate.edge) == (1, None)


@pytest.mark.parametrize(("best", "found"), [(0.0, None), (0.01, "low"), (0.5, "high")])
def test_an_end_beyond_which_nothing_is_valid_is_no_edge(best: float, found: str | None) -> None:
    trials = [
        replace(complete(n, "lora", quality, 10, 1.0), params={"lora.head_dropout": value})
        for n, (quality, value) in enumerate([(0.9, best), (0.8, 0.3)])
    ]
    (dropout,) = method(looked_at(*trials), "lora").dimensions
    assert dropout.edge == found


@pytest.mark.parametrize(
    ("curve", "share"),
    [
        ((1.0, 0.8, 0.6), 0.25),
        ((1.0, 0.6, 0.597), None),  # half a per cent
        ((1.0, 0.5, 0.6), None),
        ((0.5, 1.0, 0.6), None),  # it falls, but was lower before
        ((0.9,), None),
        ((), None),
    ],
)
def test_a_trial_that_was_not_trained_to_its_end(curve: Sequence[float], share: float | None) -> None:
    found = method(looked_at(full(0, 0.9, 1e-4, curve=losses(*curve)), full(1, 0.8, 1e-3, curve=losses(9, 1))), "full")
    assert found.still_falling == (None if share is None else pytest.approx(share))


def test_trials_that_ran_beside_another_on_the_same_device() -> None:
    def ran(number: int, begin: int, end: int, device: str = "cpu", host: str = "a", state: str = "complete") -> Record:
        times = {"started": NOON + timedelta(seconds=begin), "ended": NOON + timedelta(seconds=end)}
        return full(number, 0.8, 1e-4, worker={"host": host, "device": device}, state=state, **times)

    trials = [
        ran(0, 0, 100),
        ran(1, 10, 20),
        ran(2, 50, 60, state="pruned"),
        ran(3, 100, 110),
        ran(4, 0, 100, device="cuda:0"),
        ran(5, 0, 100, host="b"),
        full(6, 0.8, 1e-4),
    ]
    assert looked_at(*trials).beside_others == (0, 1)
    assert looked_at(trials[0], trials[3]).beside_others == ()
    assert looked_at(*(timed(trial, clock="processor") for trial in trials)).beside_others == ()


def timed(trial: Record, **changes: Any) -> Record:
    """The same finished trial, measured under other conditions."""
    assert trial.measurement is not None
    return replace(trial, measurement=replace(trial.measurement, **changes))


GPU, ONE, TWO = "NVIDIA H100", "AMD EPYC (1 thread)", "AMD EPYC (2 threads)"


@pytest.mark.parametrize(
    ("conditions", "found"),
    [
        ([{"clock": "processor", "device": ONE}] * 3, {}),
        (
            [{"device": TWO}, {"clock": "processor", "device": TWO}, {"device": TWO}],
            {f"seconds by the wall clock on {TWO}": (0, 2), f"processor seconds on {TWO}": (1,)},
        ),
        (
            [{"clock": "processor", "device": TWO}, {"clock": "processor", "device": ONE}],
            {f"processor seconds on {TWO}": (0,), f"processor seconds on {ONE}": (1,)},
        ),
        (
            [{"device": GPU}, {"device": GPU, "exact": True}, {"device": GPU, "exact": False}],
            {f"seconds by the wall clock on {GPU}": (0, 2), f"seconds by the wall clock on {GPU} with --exact": (1,)},
        ),
    ],
)
def test_times_compare_where_clock_device_threads_and_exactness_are_the_same(
    conditions: list[dict[str, Any]], found: dict[str, tuple[int, ...]]
) -> None:
    trials = [timed(full(number, 0.8, 1e-4), **each) for number, each in enumerate(conditions)]
    assert looked_at(*trials).timings == found
    assert list(looked_at(*trials).timings) == list(found), "the most first"


def test_a_method_without_a_backbone_is_timed_on_the_cpu_beside_trials_on_a_gpu() -> None:
    lexical = timed(complete(1, "tfidf", 0.7, 10, 1.0), clock="processor", device=ONE)
    trials = [timed(full(0, 0.8, 1e-4), device=GPU), lexical]
    assert looked_at(*trials).timings == {}
    other = timed(complete(2, "tfidf", 0.7, 10, 1.0), clock="processor", device=TWO)
    assert looked_at(*trials, other).timings == {
        f"processor seconds on {ONE}": (1,),
        f"processor seconds on {TWO}": (2,),
    }


def test_trials_with_other_packages_are_told_apart() -> None:
    had = [{"torch": "2.13.0+cpu", "peft": "0.21.2"}, {"torch": "2.13.0+cu128", "peft": "0.21.1"}, {"numpy": "2.3.0"}]
    trials = [full(number, 0.8, 1e-4, measurement=measurement(versions=each)) for number, each in enumerate(had)]
    assert looked_at(*trials).versions == {"peft 0.21.2": (0,), "peft 0.21.1": (1,)}
    assert looked_at(trials[0], trials[2]).versions == {}
