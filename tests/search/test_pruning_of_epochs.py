"""The rule `dominated` where each epoch of a trial is a point of the front."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.config import EarlyStopping
from peftsearch.core.front.pareto import Array, losses_of, non_dominated
from peftsearch.core.measurement import Measurement
from peftsearch.search import pruning
from peftsearch.search.forecast import possible_ends
from peftsearch.search.pruning import Decision, decide
from peftsearch.storage.points import epochs_of, points_of
from peftsearch.storage.records import Record
from tests.helpers.learning_curves import FIVE, GOOD, OBJECTIVE_NAMES, config, done, running
from tests.helpers.records import measurement
from tests.storage.test_points import drawn


def measured(record: Record) -> Record:
    """A trial of the learning curves with a measurement, or what it has measured so far."""
    best = max(record.curve, key=lambda report: report.metrics["macro_f1"])
    found: Measurement = replace(measurement(), best_epoch=best.epoch, epochs=len(record.curve))
    whole = record.state == "complete"
    return replace(record, measurement=found if whole else None, so_far=None if whole else found)


def decided(trial: Record, others: list[Record]) -> Decision | None:
    return decide(
        "dominated", measured(trial), [measured(other) for other in others], OBJECTIVE_NAMES, every_epoch=True
    )


def values(records: list[Record]) -> Array:
    return losses_of([[record.values[name] for name in OBJECTIVE_NAMES] for record in records], OBJECTIVE_NAMES)


def test_no_trial_is_stopped_that_would_have_had_a_point_on_the_front_if_forecasts_were_the_truth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random, stopped, went_on = np.random.default_rng(0), 0, 0
    for _ in range(300):
        others = [drawn(random, number) for number in range(int(random.integers(1, 6)))]
        whole = drawn(random, 99)
        now = int(random.integers(1, len(whole.curve) + 1))
        trial = Record(99, "running", whole.config, curve=whole.curve[:now], so_far=whole.measurement)
        everything = points_of([*others, whole], OBJECTIVE_NAMES)
        later = [point.number == 99 and (point.epoch or len(whole.curve)) > now for point in everything]
        # The whole trial is left out: it costs as much as its last epoch, and its best epoch is at hand.
        truth = [(len(p.curve), values([p])[0]) for p, ahead in zip(everything, later, strict=True) if ahead]
        monkeypatch.setattr(pruning, "possible_ends", lambda *_, truth=truth, **__: truth)
        decision = decide("dominated", trial, others, OBJECTIVE_NAMES, every_epoch=True)
        on_front = non_dominated(values(everything))
        if decision is not None:
            stopped += 1
            assert not (on_front & np.array(later)).any()
        else:
            went_on += bool(truth)
    assert stopped > 20
    assert went_on > 20


def test_what_a_stopped_trial_has_reached_stops_others() -> None:
    other = replace(done(3, [0.7, 0.86, 0.1, 0.1], seconds=0.5, parameters=90), state="pruned", values={})
    trial = running([0.3, 0.35, 0.36])
    reason = "at best macro_f1 0.360 by epoch 3; trial 3, epoch 2 has 0.860 with 90 parameters in 1.0 s"
    assert decided(trial, [*FIVE, other]) == Decision(reason, dominated_by=3)
    assert decide("dominated", measured(trial), [*FIVE, measured(other)], OBJECTIVE_NAMES) is None


def test_a_trial_goes_on_for_the_sake_of_its_next_epoch() -> None:
    """Its end is dominated by far, but after the second epoch it would be the fastest that is so good."""
    fast = done(7, [0.2, 0.3, 0.4, 0.86], "ia3", seconds=0.9, parameters=90)
    trial = running([0.6], seconds=1.0, parameters=100)
    assert decide("dominated", measured(trial), [*FIVE, fast], OBJECTIVE_NAMES) is not None
    assert decided(trial, [*FIVE, fast]) is None
    assert decided(trial, [*FIVE, GOOD]) is not None


def test_a_trial_that_can_only_repeat_itself_is_stopped_by_itself() -> None:
    """All five curves have come to their end after the second epoch, so more epochs are forecast to bring nothing."""
    flat = [done(i, [0.5, 0.6, 0.6, 0.6], seconds=2.0, parameters=1000) for i in range(5)]
    trial = running([0.8, 0.9], seconds=1.0, parameters=10)
    decision = decided(trial, flat)
    assert decision is not None
    assert (decision.dominated_by, decision.reason) == (
        None,
        "at best macro_f1 0.900 by epoch 2; trial 99, epoch 2 has 0.900 with 10 parameters in 2.0 s",
    )


def test_every_later_epoch_is_an_end_whatever_early_stopping_would_do() -> None:
    trial = running([0.5, 0.5], config(epochs=6, stopping=EarlyStopping(patience=3)))
    assert [epochs for epochs, _ in possible_ends(trial, FIVE, OBJECTIVE_NAMES, every_epoch=True)] == [3, 4, 5, 6]
    assert [epochs for epochs, _ in possible_ends(trial, FIVE, OBJECTIVE_NAMES)] == [4, 5, 6]


def test_without_measurements_no_epoch_is_a_point() -> None:
    assert not any(epochs_of(record, OBJECTIVE_NAMES) for record in [*FIVE, GOOD])
    assert decide("dominated", running([0.3, 0.35, 0.36]), [*FIVE, GOOD], OBJECTIVE_NAMES, every_epoch=True)
