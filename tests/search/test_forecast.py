from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.config import EarlyStopping, idle_epochs
from peftsearch.search.forecast import TIME_NOISE, possible_ends, possible_last_epochs
from peftsearch.storage.records import Record
from tests.helpers.learning_curves import FIVE, GOOD, as_matthews, config, done, reports, running


@pytest.mark.parametrize("scores", [[0.3, 0.35, 0.36], [0.1, 0.1], [0.6, 0.75, 0.84]])
def test_a_metric_from_minus_one_on_is_extrapolated_as_one_from_zero_on(scores: list[float]) -> None:
    ends = possible_ends(running(scores), FIVE, ["macro_f1"])
    twins = possible_ends(as_matthews(running(scores)), [as_matthews(one) for one in FIVE], ["matthews_correlation"])
    for (epochs, loss), (epochs_too, twin) in zip(ends, twins, strict=True):
        assert epochs == epochs_too
        assert twin == pytest.approx(2 * loss + 1)  # losses: the sign is turned


def test_early_stoppings_threshold_is_on_the_metrics_own_scale() -> None:
    others = [as_matthews(one) for one in [*FIVE, GOOD]]
    patient = as_matthews(running([0.3, 0.3, 0.3], config(epochs=9)), EarlyStopping(patience=4, threshold=0.25))
    first = next(possible_ends(patient, others, ["matthews_correlation"]))
    assert first[0] == 5
    assert first[1] == pytest.approx([0.4 - 0.25])


@pytest.mark.parametrize(
    ("scores", "patience", "epochs"),
    [
        ([0.5], 2, [3, 4, 5, 6]),
        ([0.5, 0.5], 2, [3, 4, 5, 6]),
        ([0.5, 0.5, 0.6], 2, [5, 6]),
        ([0.5], 9, [6]),
    ],
)
def test_the_epochs_at_which_a_trial_may_stop(scores: list[float], patience: int, epochs: list[int]) -> None:
    assert list(possible_last_epochs(config(epochs=6, stopping=EarlyStopping(patience)), reports(scores))) == epochs


def test_without_early_stopping_there_is_one_end() -> None:
    assert list(possible_last_epochs(config(epochs=6), reports([0.5]))) == [6]


def test_idle_epochs_are_counted_as_training_counts_them() -> None:
    from peftsearch.training.loop.callbacks import stops_early

    rng = np.random.default_rng(0)
    for _ in range(200):
        scores = rng.uniform(0.5, 0.52, rng.integers(1, 8)).tolist()
        for patience in (1, 2, 3):
            stopping = EarlyStopping(patience, threshold=0.005)
            assert stops_early(scores, stopping) == (idle_epochs(scores, 0.005) >= patience)


def test_a_first_epoch_with_a_cost_of_its_own_is_not_multiplied() -> None:
    """A frozen prefix is computed in the first epoch only: 10 s, then 1 s an epoch."""
    probes = [done(i, [0.5, 0.55, 0.57, 0.58], "probe", seconds=[10.0, 1.0, 1.0, 1.0]) for i in range(3)]
    [(_, point)] = possible_ends(running([0.5], config("probe"), seconds=10.0), probes, ("train_seconds",))
    assert point[0] == pytest.approx(10 + 3 * 1 * (1 - TIME_NOISE))
    [(_, unknown)] = possible_ends(running([0.5], config("full"), seconds=10.0), probes, ("train_seconds",))
    assert unknown[0] == pytest.approx(10)


def test_epochs_to_come_may_be_as_much_cheaper_as_the_luckiest_tenths_were() -> None:
    """Two epochs on a busy machine, which for one trial of the method, or a tenth of all, was quiet afterwards."""

    def least(others: Sequence[Record]) -> float:
        [(_, point)] = possible_ends(running([0.5, 0.6], config("full"), seconds=4.0), others, ("train_seconds",))
        return float(point[0])

    steady = [done(i, [0.5, 0.6, 0.6, 0.6], "full", seconds=2.0) for i in range(10)]
    lucky = done(10, [0.5, 0.6, 0.6, 0.6], "full", seconds=[4.0, 2.0, 1.0, 1.0])
    assert least(steady) == pytest.approx(8 + 8 * (1 - TIME_NOISE))
    assert least([*steady, lucky]) == pytest.approx(8 + 8 * 0.5 * (1 - TIME_NOISE))
    others = [replace(lucky, number=20 + i, config=config("lora", 4)) for i in range(2)]
    assert least([*steady, others[0]]) > least([*steady, *others]) > least([*steady, lucky])


def test_trials_of_the_same_method_say_most_about_how_a_curve_goes_on() -> None:
    """One of ten trials learnt late. To a trial of its method it says more than to one of another method."""

    def best(method: str) -> float:
        [(_, [loss])] = possible_ends(running([0.5, 0.5], config(method)), [*early, late], ("macro_f1",))
        return -float(loss)

    early = [done(i, [0.5, 0.5, 0.51 + 0.01 * i, 0.51 + 0.01 * i], "lora") for i in range(9)]
    late = done(9, [0.5, 0.5, 0.7, 0.9], "adalora")
    assert best("adalora") == pytest.approx(0.9)
    assert best("full") == pytest.approx(0.59 + 0.1 * (0.9 - 0.59)), "between the second best and the best"
    assert best("lora") == pytest.approx(0.59)


def slowed(trial: Record, training: float, evaluation: float) -> Record:
    """The same trial with its epochs longer by these factors."""
    curve = tuple(
        replace(
            each,
            train_seconds=training * each.train_seconds,
            evaluation_seconds=evaluation * each.evaluation_seconds,
        )
        for each in trial.curve
    )
    return replace(trial, curve=curve)


def last_seconds(trial: Record, finished: Sequence[Record]) -> float:
    [(_, [seconds])] = possible_ends(trial, finished, ["train_seconds"])
    return float(seconds)


def test_a_trial_is_not_charged_for_a_machine_that_has_become_slower() -> None:
    """Twice the seconds to train and to evaluate are the machine's; twice those to train alone are the trial's."""
    trial = running([0.5, 0.6], seconds=2.0)
    quiet = last_seconds(trial, FIVE)
    assert quiet == pytest.approx(2 * 2.0 + 2 * 2.0 * (1 - TIME_NOISE))
    assert last_seconds(slowed(trial, 2, 2), FIVE) == pytest.approx(quiet)
    assert last_seconds(slowed(trial, 3, 2), FIVE) == pytest.approx(1.5 * quiet)
    assert last_seconds(slowed(trial, 2, 1), FIVE) == pytest.approx(2 * quiet)
    assert last_seconds(slowed(trial, 1, 2), FIVE) == pytest.approx(quiet)
    assert last_seconds(slowed(trial, 1.3, 1.3), FIVE) == pytest.approx(1.3 * quiet), "that is within the noise"


def test_only_the_same_method_on_the_same_backbone_says_how_fast_the_machine_was() -> None:
    twice = slowed(running([0.5, 0.6], seconds=2.0), 2, 2)
    charged = last_seconds(twice, FIVE)
    assert twice.config is not None
    larger = replace(twice, config=replace(twice.config, backbone="larger"))
    assert last_seconds(larger, FIVE) == pytest.approx(2 * charged)
    other = replace(twice, config=replace(twice.config, method="full"))
    assert last_seconds(other, [*FIVE, done(5, [0.5, 0.6, 0.6, 0.6], "full", seconds=4.0)]) > 1.9 * charged
    short = [replace(one, curve=one.curve[:1]) for one in FIVE]
    assert last_seconds(twice, short) == pytest.approx(2 * 4.0), "no epoch to come is forecast, and none is cheaper"


def test_how_a_trials_epochs_went_on() -> None:
    trial = done(0, [0.5, 0.6, 0.6, 0.6], seconds=[4.0, 2.0, 1.0, 1.0])
    assert trial.later("train_seconds") == pytest.approx((4 / 3 / 4, 1 / 2, 1 / 1))
    assert done(1, [0.5, 0.6], seconds=[0.0, 1.0]).later("train_seconds") == (0.0,)
    assert done(2, [0.5], seconds=[1.0]).later("train_seconds") == ()
