from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.config import EarlyStopping
from peftsearch.core.constraints import Check, Constraint
from peftsearch.core.front.pareto import front_of, losses_of, non_dominated
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Margin
from peftsearch.search.forecast import possible_ends
from peftsearch.search.pruning import Decision, decide
from peftsearch.storage.records import Record
from tests.helpers.learning_curves import FIVE, GOOD, OBJECTIVE_NAMES, as_matthews, config, done, running


def test_a_hopeless_trial_is_stopped_with_its_reason() -> None:
    decision = decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, GOOD], OBJECTIVE_NAMES)
    assert decision == Decision(
        "at best macro_f1 0.360 by epoch 3; trial 7 has 0.860 with 90 parameters in 2.0 s", dominated_by=7
    )


@pytest.mark.parametrize(
    ("why", "trial"),
    [
        ("it may still become the best", running([0.6, 0.75, 0.84])),
        ("it has the fewest parameters", running([0.3, 0.35, 0.36], parameters=50)),
        ("it is the fastest", running([0.3, 0.35, 0.36], seconds=0.3)),
        ("its time is within the noise of the other's", running([0.3, 0.35, 0.36], seconds=0.505)),
        ("this was its last epoch", running([0.3, 0.35, 0.36, 0.36])),
        ("it is the first of its method", running([0.3, 0.35, 0.36], config("full"))),
        ("it has reported nothing", running([])),
    ],
)
def test_a_trial_goes_on_because(why: str, trial: Record) -> None:
    assert decide("dominated", trial, [*FIVE, GOOD], OBJECTIVE_NAMES) is None


def test_time_beyond_the_noise_is_no_excuse() -> None:
    trial = running([0.3, 0.35, 0.36], seconds=0.52)
    assert decide("dominated", trial, [*FIVE, GOOD], OBJECTIVE_NAMES) is not None


def test_without_enough_curves_or_epochs_nothing_is_ruled_out() -> None:
    assert decide("dominated", running([0.3, 0.31]), [GOOD], OBJECTIVE_NAMES) is None
    assert decide("dominated", running([0.3, 0.31]), [*FIVE, GOOD], OBJECTIVE_NAMES) is not None


@pytest.mark.parametrize("state", ["running", "pruned", "failed", "waiting"])
def test_only_a_complete_trial_rules_another_out(state: str) -> None:
    other = replace(GOOD, state=state)  # type: ignore[arg-type]
    assert decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, other], OBJECTIVE_NAMES) is None


def test_a_trial_is_not_measured_against_itself() -> None:
    assert decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, replace(GOOD, number=99)], OBJECTIVE_NAMES) is None


def test_an_objective_known_only_afterwards_rules_nothing_out() -> None:
    names = ("macro_f1", "peak_memory_mb")
    others = [replace(trial, values={**trial.values, "peak_memory_mb": 1.0}) for trial in [*FIVE, GOOD]]
    assert decide("dominated", running([0.3, 0.35, 0.36]), others, names) is None


def test_a_hopeless_correlation_is_stopped() -> None:
    others = [as_matthews(one) for one in [*FIVE, GOOD]]
    trial = as_matthews(running([0.3, 0.35, 0.36]))
    decision = decide("dominated", trial, others, ["matthews_correlation"])
    assert decision is not None
    assert "at best matthews_correlation -0.280 by epoch 3; trial 7 has 0.720" in decision.reason


def test_a_metric_without_bounds_rules_nothing_out() -> None:
    def with_evaluate(record: Record) -> Record:
        curve = tuple(replace(r, metrics={**r.metrics, "evaluate:x": 0.1}) for r in record.curve)
        return replace(record, curve=curve, values={**record.values, "evaluate:x": 0.1})

    others = [with_evaluate(one) for one in [*FIVE, GOOD]]
    trial = with_evaluate(running([0.3, 0.35, 0.36]))
    assert decide("dominated", trial, others, ["macro_f1", "evaluate:x"]) is None
    assert decide("dominated", trial, others, ["macro_f1"]) is not None


def test_one_objective_alone_can_be_pruned_on() -> None:
    decision = decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, GOOD], ("macro_f1",))
    assert decision is not None
    assert decision.dominated_by == 7


def test_early_stopping_may_end_a_trial_sooner_and_cheaper() -> None:
    """Four epochs would take 2.4 s, more than the other's 2.0 s; early stopping after the third, 1.8 s, would not."""
    others = [*FIVE, GOOD]
    hopeless = {"scores": [0.30, 0.30], "seconds": 0.6}
    assert decide("dominated", running(**hopeless), others, OBJECTIVE_NAMES) is not None  # type: ignore[arg-type]
    patient = config(stopping=EarlyStopping(patience=2))
    assert decide("dominated", running(like=patient, **hopeless), others, OBJECTIVE_NAMES) is None  # type: ignore[arg-type]


def test_a_trial_that_early_stopping_ends_now_is_not_pruned_too() -> None:
    trial = running([0.3, 0.3, 0.3], config(epochs=10, stopping=EarlyStopping(patience=2)))
    assert decide("dominated", trial, [*FIVE, GOOD], OBJECTIVE_NAMES) is None


def test_the_median_is_taken_within_the_method() -> None:
    others = [done(i, [0.5 + i / 100, 0.6, 0.7, 0.7]) for i in range(5)]
    full = [done(10 + i, [0.9, 0.9, 0.9, 0.9], "full") for i in range(9)]
    assert decide("median", running([0.51]), [*others, *full], OBJECTIVE_NAMES) == Decision(
        "at best macro_f1 0.510 by epoch 1; the median of 5 lora trials is 0.520"
    )
    assert decide("median", running([0.53]), [*others, *full], OBJECTIVE_NAMES) is None
    assert decide("median", running([0.1]), others[:4], OBJECTIVE_NAMES) is None


def test_no_pruner_stops_nothing() -> None:
    assert decide("none", running([0.0, 0.0, 0.0]), [*FIVE, GOOD], OBJECTIVE_NAMES) is None


METHODS = {
    "full": (22e6, 10, 0.12),
    "frozen": (8e6, 6, 0.16),
    "lora": (3e5, 8, 0.15),
    "prefix": (1e5, 8, 0.22),
    "probe": (3e3, 1.5, 0.35),
}
"""Trainable parameters, seconds of an epoch, and the error that remains after any number of epochs."""


def test_over_synthetic_studies_it_saves_epochs_and_rarely_stops_a_front_point() -> None:
    spent = {rule: [_search(rule, seed) for seed in range(12)] for rule in ("dominated", "median")}
    share, wrong, front = np.mean(spent["dominated"], axis=0)
    assert share < 0.8
    assert wrong / front < 0.06
    assert wrong < np.mean(spent["median"], axis=0)[1]


def _search(rule: str, seed: int, trials: int = 30, epochs: int = 8) -> tuple[float, int, int]:
    """Replay a made study: the share of epochs spent, the true front points stopped, and all true front points."""
    rng = np.random.default_rng(seed)
    others: list[Record] = []
    spent, true = 0, []
    for number in range(trials):
        whole = _synthetic(number, rng, epochs)
        true.append([whole.values[name] for name in OBJECTIVE_NAMES])
        for now in range(1, epochs + 1):
            spent += 1
            seen = replace(whole, state="running", curve=whole.curve[:now])
            if decide(rule, seen, others, OBJECTIVE_NAMES):
                whole = replace(whole, state="pruned", values={}, curve=whole.curve[:now])
                break
        others.append(whole)
    front = np.flatnonzero(non_dominated(losses_of(true, OBJECTIVE_NAMES)))
    return spent / (trials * epochs), sum(others[i].state == "pruned" for i in front), len(front)


def _synthetic(number: int, rng: np.random.Generator, epochs: int) -> Record:
    method = list(METHODS)[number % len(METHODS)]
    parameters, seconds, floor = METHODS[method]
    floor += abs(rng.normal(0, 0.08))
    errors = (
        floor + rng.uniform(0.1, 0.6) * np.arange(1, epochs + 1) ** -rng.uniform(0.4, 2) + rng.normal(0, 0.01, epochs)
    )
    each = (seconds * rng.uniform(0.8, 1.2) * rng.uniform(0.93, 1.07, epochs)).tolist()
    scores = (1 - np.clip(errors, 0, 1)).tolist()
    return done(number, scores, method, seconds=each, parameters=int(parameters * 2 ** rng.uniform(-1.5, 1.5)))


def test_a_trial_that_breaks_a_constraint_stops_no_other() -> None:
    broken = replace(GOOD, checks=(Check(Constraint("macro_f1", 0.9), 0.86),))
    assert decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, broken], OBJECTIVE_NAMES) is None
    kept = replace(GOOD, checks=(Check(Constraint("macro_f1", 0.8), 0.86),))
    assert decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, kept], OBJECTIVE_NAMES) is not None


def test_what_is_stopped_would_not_be_on_the_front_whatever_finishes_later() -> None:
    """At the best end that it was expected to come to, under any tolerance and after any later trials."""
    stopped = 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        finished = [_synthetic(number, rng, 6) for number in range(20)]
        known = [[record.values[name] for name in OBJECTIVE_NAMES] for record in finished]
        whole = _synthetic(int(rng.integers(20, 25)), rng, 6)
        for now in range(1, 6):
            trial = replace(whole, state="running", curve=whole.curve[:now])
            if decide("dominated", trial, finished, OBJECTIVE_NAMES) is None:
                continue
            stopped += 1
            [(_, (loss, *costs))] = possible_ends(trial, finished, OBJECTIVE_NAMES)
            end = np.array([-loss, *costs])
            later = end * rng.uniform(0.85, 1.15, (8, 3)) ** rng.integers(0, 2, (8, 3))
            for count in (0, 4, 8):
                for tolerance in (AS_MEASURED, EXACT, {"macro_f1": Margin(0.02)}):
                    assert not front_of([end, *known, *later[:count]], OBJECTIVE_NAMES, tolerance)[0]
    assert stopped > 15
