from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig, idle_epochs
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import OBJECTIVES
from peftsearch.core.pareto import as_losses, non_dominated
from peftsearch.search.pruning import TIME_NOISE, Decision, decide, possible_ends, stops
from peftsearch.storage.records import Record

OBJECTIVE_NAMES = ("macro_f1", "trainable_parameters", "train_seconds")


def config(method: str = "lora", epochs: int = 4, stopping: EarlyStopping | None = None) -> TrialConfig:
    return TrialConfig("b", method, {}, TrainingConfig(epochs=epochs, early_stopping=stopping))


def reports(
    scores: Sequence[float], seconds: float | Sequence[float] = 1.0, parameters: int = 100
) -> tuple[EpochReport, ...]:
    each = [seconds] * len(scores) if isinstance(seconds, float) else list(seconds)
    return tuple(
        EpochReport(i + 1, 0.0, 0.0, {"macro_f1": score}, each[i], 0.1, parameters) for i, score in enumerate(scores)
    )


def running(scores: Sequence[float], like: TrialConfig | None = None, **kwargs: object) -> Record:
    return Record(99, "running", like or config(), curve=reports(scores, **kwargs))  # type: ignore[arg-type]


def done(number: int, scores: Sequence[float], method: str = "lora", **kwargs: object) -> Record:
    curve = reports(scores, **kwargs)  # type: ignore[arg-type]
    values = {
        "macro_f1": max(scores),
        "trainable_parameters": float(curve[0].trainable_parameters),
        "train_seconds": sum(report.train_seconds for report in curve),
    }
    return Record(number, "complete", config(method, len(scores)), values, curve=curve)


FIVE = [done(i, [0.5, 0.58, 0.62, 0.64], seconds=2.0, parameters=1000) for i in range(5)]
"""Curves that a running one may be measured by, which dominate nothing here: they are dear."""

GOOD = done(7, [0.7, 0.8, 0.85, 0.86], seconds=0.5, parameters=90)


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


def as_matthews(record: Record, stopping: EarlyStopping | None = None) -> Record:
    """The same curve on the scale of -1..1."""
    assert record.config
    curve = tuple(replace(r, metrics={"matthews_correlation": 2 * r.metrics["macro_f1"] - 1}) for r in record.curve)
    training = replace(record.config.training, early_stopping=stopping)
    values = {"matthews_correlation": 2 * record.values.get("macro_f1", 0) - 1, "train_seconds": 2.0}
    chosen = replace(record.config, selection="matthews_correlation", training=training)
    return replace(record, config=chosen, curve=curve, values=values)


@pytest.mark.parametrize("scores", [[0.3, 0.35, 0.36], [0.1, 0.1], [0.6, 0.75, 0.84]])
def test_a_metric_from_minus_one_on_is_extrapolated_as_one_from_zero_on(scores: list[float]) -> None:
    ends = possible_ends(running(scores), FIVE, ["macro_f1"])
    twins = possible_ends(as_matthews(running(scores)), [as_matthews(one) for one in FIVE], ["matthews_correlation"])
    for (epochs, loss), (epochs_too, twin) in zip(ends, twins, strict=True):
        assert epochs == epochs_too
        assert twin == pytest.approx(2 * loss + 1)  # losses: the sign is turned


def test_a_hopeless_correlation_is_stopped_and_its_threshold_is_on_its_own_scale() -> None:
    others = [as_matthews(one) for one in [*FIVE, GOOD]]
    trial = as_matthews(running([0.3, 0.35, 0.36]))
    decision = decide("dominated", trial, others, ["matthews_correlation"])
    assert decision is not None
    assert "at best matthews_correlation -0.280 by epoch 3; trial 7 has 0.720" in decision.reason
    patient = as_matthews(running([0.3, 0.3, 0.3], config(epochs=9)), EarlyStopping(patience=4, threshold=0.25))
    first = next(possible_ends(patient, others, ["matthews_correlation"]))
    assert first[0] == 5
    assert first[1] == pytest.approx([0.4 - 0.25])


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
    assert list(stops(config(epochs=6, stopping=EarlyStopping(patience)), reports(scores))) == epochs


def test_without_early_stopping_there_is_one_end() -> None:
    assert list(stops(config(epochs=6), reports([0.5]))) == [6]


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


def test_how_a_trials_epochs_went_on() -> None:
    trial = done(0, [0.5, 0.6, 0.6, 0.6], seconds=[4.0, 2.0, 1.0, 1.0])
    assert trial.later("train_seconds") == pytest.approx((4 / 3 / 4, 1 / 2, 1 / 1))
    assert done(1, [0.5, 0.6], seconds=[0.0, 1.0]).later("train_seconds") == (0.0,)
    assert done(2, [0.5], seconds=[1.0]).later("train_seconds") == ()


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
"""Parameters, seconds an epoch, and the error that is left after any number of epochs."""


def test_over_synthetic_studies_it_saves_epochs_and_rarely_stops_a_front_point() -> None:
    spent = {rule: [_search(rule, seed) for seed in range(12)] for rule in ("dominated", "median")}
    share, wrong, front = np.mean(spent["dominated"], axis=0)
    assert share < 0.8
    assert wrong / front < 0.06
    assert wrong < np.mean(spent["median"], axis=0)[1]


def _search(rule: str, seed: int, trials: int = 30, epochs: int = 8) -> tuple[float, int, int]:
    """Share of the epochs spent, points of the true front that were stopped, points of the true front."""
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
    front = np.flatnonzero(non_dominated(as_losses(true, [OBJECTIVES[name].direction for name in OBJECTIVE_NAMES])))
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
