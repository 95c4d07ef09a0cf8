from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState

from peftsearch.core.config import TrialConfig
from peftsearch.core.constraints import BreaksConstraint, Check, Constraint
from peftsearch.core.errors import Interrupted, TrialFailure, UserError
from peftsearch.core.files.disk import DiskFull, DiskRefuses
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.front.pareto import losses_of, non_dominated
from peftsearch.core.points import Point, parse_point
from peftsearch.core.predictions import Predictions
from peftsearch.search import execute
from peftsearch.search.pruning import Decision
from peftsearch.storage.budget import finished
from peftsearch.storage.database import objective_names, open_study
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.storage.kept.predictions import read_predictions
from peftsearch.storage.optuna_access import trial_id
from peftsearch.storage.points import epochs_of, points_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import write_constraints, write_every_epoch
from peftsearch.storage.trial_attributes import write_curve
from tests.helpers import fake_trainer

CONFIG = TrialConfig("b", "lora", {"rank": 8})


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "x", ["macro_f1", "trainable_parameters", "train_seconds"])


def run(study: Study, folder: Path, train: Any = fake_trainer.train, config: TrialConfig = CONFIG) -> Record:
    trial = study.ask()
    trial.set_user_attr("config", config.to_dict())
    execute.run(study, trial, config, train, "dominated", RunFolder(folder), lambda: False)
    return next(record for record in records(study) if record.number == trial.number)


def front_of_points(study: Study) -> set[str]:
    """The names of the points that keep all constraints and that no other one dominates."""
    return undominated(study, points_of(records(study), objective_names(study)))


def front_of_whole_trials(study: Study) -> set[str]:
    return undominated(study, [record for record in records(study) if record.state == "complete"])


def undominated(study: Study, points: list[Record]) -> set[str]:
    names, points = objective_names(study), [point for point in points if point.feasible]
    front = non_dominated(losses_of([[record.values[name] for name in names] for record in points], names))
    return {str(record.point) for record, stays in zip(points, front, strict=True) if stays}


def raising(error: Exception) -> Callable[..., Any]:
    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        report(fake_trainer.epoch_report(config, 1))
        raise error

    return train


def test_a_trial_is_told_with_its_curve_measurement_and_values(study: Study, tmp_path: Path) -> None:
    record = run(study, tmp_path)
    curve = [fake_trainer.epoch_report(CONFIG, epoch) for epoch in (1, 2, 3)]
    assert record.state == "complete"
    assert record.curve == tuple(curve)
    assert record.measurement == fake_trainer.measured(curve)
    assert record.values == {
        "macro_f1": curve[-1].metrics["macro_f1"],
        "trainable_parameters": 300_000.0,
        "train_seconds": pytest.approx(sum(report.train_seconds for report in curve)),
    }
    assert (tmp_path / "weights" / "0" / "trial.json").exists()


def test_weights_are_there_before_the_trial_is_complete(study: Study, tmp_path: Path, monkeypatch: Any) -> None:
    order = []
    tell = study.tell
    monkeypatch.setattr(
        study, "tell", lambda *a, **k: (order.append((tmp_path / "weights" / "0").exists()), tell(*a, **k))
    )
    run(study, tmp_path)
    assert order == [True]


def test_predictions_are_there_before_the_trial_is_complete(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, seen = RunFolder(tmp_path).predictions(0), []
    said = Predictions(np.eye(3, dtype=np.float32), np.arange(3))

    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        return replace(fake_trainer.train(config, report, should_stop), predictions=said)

    tell = study.tell
    monkeypatch.setattr(study, "tell", lambda *a, **k: (seen.append(file.exists()), tell(*a, **k)))
    assert run(study, tmp_path, train).state == "complete"
    found = read_predictions(file)
    assert seen == [True]
    assert found is not None
    assert np.array_equal(found.logits, said.logits)


@pytest.mark.parametrize(
    ("error", "told", "failure"),
    [
        (
            TrialFailure("out_of_memory", "one row does not fit"),
            TrialState.PRUNED,
            ("out_of_memory", "one row does not fit"),
        ),
        (TrialFailure("not_finite", "loss is nan"), TrialState.PRUNED, ("not_finite", "loss is nan")),
        (ValueError("two\nlines"), TrialState.FAIL, ("error", "ValueError: two lines")),
        (UserError("no such model"), TrialState.FAIL, ("error", "no such model")),
        (MemoryError(), TrialState.FAIL, ("error", "MemoryError")),
        (OSError(errno.EIO, "Input/output error"), TrialState.FAIL, ("error", "OSError: [Errno 5] Input/output error")),
        (TrialFailure("hub", "the hub is away"), TrialState.FAIL, ("hub", "the hub is away")),
    ],
)
def test_every_failure_is_told_with_its_kind(
    study: Study, tmp_path: Path, error: Exception, told: TrialState, failure: tuple[str, str]
) -> None:
    record = run(study, tmp_path, raising(error))
    assert record.state == "failed"
    assert record.failure is not None
    assert (record.failure["kind"], record.failure["message"]) == failure
    assert study.trials[0].state is told
    assert finished(study) == (told is TrialState.PRUNED), "only the configuration's own failure counts"
    assert ("Traceback" in record.failure.get("traceback", "")) == (failure[0] == "error")


def test_a_failure_that_is_not_the_configurations_is_tried_once_more(study: Study, tmp_path: Path) -> None:
    run(study, tmp_path, raising(TrialFailure("hub", "the hub is away")))
    assert [(record.state, record.retry_of) for record in records(study)] == [("failed", None), ("waiting", 0)]
    run(study, tmp_path, raising(TrialFailure("hub", "the hub is away")))
    assert [record.state for record in records(study)] == ["failed", "failed"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_is_told_to_the_user_and_not_of_the_trial(study: Study, tmp_path: Path, error: Exception) -> None:
    with pytest.raises(DiskFull) as caught:
        run(study, tmp_path, raising(error))
    assert str(tmp_path) in str(caught.value)
    assert (records(study)[0].state, records(study)[0].failure) == ("running", None)


def test_a_folder_that_cannot_be_written_is_told_to_the_user_and_not_of_the_trial(study: Study, tmp_path: Path) -> None:
    """Its configuration would be lost, and the next one too."""
    with pytest.raises(DiskRefuses, match="Read-only file system; use another folder"):
        run(study, tmp_path, raising(DiskRefuses("weights: Read-only file system; use another folder")))
    assert (records(study)[0].state, records(study)[0].failure) == ("running", None)


def test_an_interruption_passes_through_untold(study: Study, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(study, tmp_path, raising(Interrupted("stop")))
    assert records(study)[0].state == "running"


def test_a_trial_that_begins_again_replaces_its_curve(study: Study, tmp_path: Path) -> None:
    """Short of memory in its second epoch, it starts over with smaller batches."""

    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        for epoch in (1, 2):
            report(fake_trainer.epoch_report(config, epoch))
        return fake_trainer.train(config, report, should_stop)

    assert [report.epoch for report in run(study, tmp_path, train).curve] == [1, 2, 3]


def test_epochs_that_are_reported_again_are_neither_written_nor_decided_upon_again(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, decided, written = study.ask(), [], []
    folder, earlier = RunFolder(tmp_path), [fake_trainer.epoch_report(CONFIG, epoch) for epoch in (1, 2, 3)]
    write_curve(trial, earlier)
    folder.paused.mkdir()
    folder.paused_state(CONFIG.key()).touch()
    monkeypatch.setattr(execute, "decide", lambda pruner, record, *_, **__: decided.append(len(record.curve)))
    monkeypatch.setattr(execute, "write_curve", lambda trial, curve: written.append(len(curve)))
    reporter = execute.Reporter(study, trial, CONFIG, "none", folder)
    for epoch in (1, 2, 3, 4):
        reporter(fake_trainer.epoch_report(CONFIG, epoch))
    assert (decided, written) == ([4], [4])
    anew = execute.Reporter(study, trial, CONFIG, "none", folder)
    anew(replace(earlier[0], train_seconds=99.0))
    assert (decided[1:], written[1:]) == ([1], [1]), "it was trained again"


def test_a_dominated_trial_is_pruned_and_says_by_which(study: Study, tmp_path: Path) -> None:
    def scoring(scores: list[float]) -> Any:
        def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
            from dataclasses import replace

            curve = [
                replace(
                    fake_trainer.epoch_report(config, i + 1), metrics={"macro_f1": score}, train_seconds=9 - 8 * score
                )
                for i, score in enumerate(scores)
            ]
            for epoch in curve:
                report(epoch)
            return fake_trainer.FakeResult(fake_trainer.measured(curve))

        return train

    for rank in range(5):
        assert (
            run(study, tmp_path, scoring([0.7, 0.75, 0.8]), TrialConfig("b", "lora", {"rank": rank})).state
            == "complete"
        )
    record = run(study, tmp_path, scoring([0.2, 0.2, 0.2]))
    assert record.state == "pruned"
    assert record.dominated_by == 0
    assert record.reason == "at best macro_f1 0.200 by epoch 1; trial 0 has 0.800 with 300,000 parameters in 9.0 s"
    assert len(record.curve) == 1
    assert not (tmp_path / "weights" / "5").exists()


def test_the_pruner_is_given_the_curve_that_the_reporter_holds(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Record] = []
    monkeypatch.setattr(execute, "decide", lambda rule, record, others, objectives, **_: given.append(record))
    run(study, tmp_path)
    curve = tuple(fake_trainer.epoch_report(CONFIG, epoch) for epoch in (1, 2, 3))
    without = [replace(record, so_far=None) for record in given]
    assert without == [Record(0, "running", CONFIG, curve=curve[:epoch]) for epoch in (1, 2, 3)]
    assert [len(epochs_of(record, objective_names(study))) for record in given] == [1, 2, 3]


def test_optuna_still_refuses_reports_with_several_objectives() -> None:
    """If this fails, curves could be intermediate values: see `Reporter` (Optuna 5.0)."""
    trial = optuna.create_study(directions=["maximize", "minimize"]).ask()
    with pytest.raises(NotImplementedError):
        trial.report(0.5, 1)


def test_optunas_sampler_still_fails_after_a_pruned_trial_with_intermediate_values() -> None:
    """If this fails, so may the reason for `Reporter` to stay away from them (Optuna 5.0)."""
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(n_startup_trials=1, seed=0)
    )
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study.tell(trial, [0.5, 1.0])
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    study._storage.set_trial_intermediate_value(trial._trial_id, 1, 0.5)
    study._storage.set_trial_state_values(trial._trial_id, TrialState.PRUNED)
    trial = study.ask()
    with pytest.raises(RuntimeError, match="single direction"):
        trial.suggest_float("x", 0, 1)


def constrained(study: Study, **bounds: float) -> None:
    write_constraints(study, [Constraint(name, bound) for name, bound in bounds.items()])


def test_a_trial_that_would_break_a_constraint_is_not_trained_and_the_sampler_is_told(
    study: Study, tmp_path: Path
) -> None:
    constrained(study, trainable_parameters=1_000_000, macro_f1=0.5)

    def refuse(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        raise BreaksConstraint([Check(Constraint("trainable_parameters", 1_000_000), 22_716_676)])

    record = run(study, tmp_path, refuse)
    assert (record.state, record.curve, record.failure) == ("pruned", (), None)
    assert record.reason == "breaks the constraint trainable_parameters <= 1,000,000: has 22,716,676"
    assert [str(check) for check in record.checks] == ["trainable_parameters <= 1,000,000: has 22,716,676"]
    assert study.trials[0].constraints == {"trainable_parameters": pytest.approx(21.716676)}
    assert finished(study) == 1


def test_a_trial_is_stopped_once_it_took_longer_than_a_constraint_allows(study: Study, tmp_path: Path) -> None:
    first = fake_trainer.epoch_report(CONFIG, 1).train_seconds
    constrained(study, train_seconds=1.5 * first, macro_f1=0.01)
    record = run(study, tmp_path)
    assert (record.state, len(record.curve)) == ("pruned", 2)
    assert record.reason == (f"breaks the constraint train_seconds <= {1.5 * first:,.10g}: has {2 * first:.2f}")
    assert not record.feasible
    assert study.trials[0].constraints == {"train_seconds": pytest.approx(1 / 3)}


def test_a_trained_trial_that_breaks_a_constraint_keeps_no_weights_and_deletes_none(
    study: Study, tmp_path: Path
) -> None:
    constrained(study, macro_f1=0.6)
    configs = [TrialConfig("b", "lora", {"rank": rank}) for rank in range(12)]
    found = [run(study, tmp_path, config=config) for config in configs]
    assert {record.feasible for record in found} == {True, False}, "the bound divides them"
    kept = {path.name for path in RunFolder(tmp_path).weights.iterdir()}
    assert kept == front_of_points(study) | front_of_whole_trials(study)
    broken = {str(record.number) for record in found if not record.feasible}
    assert kept
    assert not kept & broken
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    assert all((trial.constraints["macro_f1"] <= 0) is found[trial.number].feasible for trial in complete)


def test_a_front_is_chosen_anew_when_the_constraints_change(study: Study, tmp_path: Path) -> None:
    record = run(study, tmp_path)
    assert record.checks == ()
    constrained(study, macro_f1=0.99)
    assert [record.feasible for record in records(study)] == [False]
    constrained(study)
    assert [record.checks for record in records(study)] == [()]


def drawn(random: np.random.Generator, during: Callable[[int], None] = lambda _: None) -> Callable[..., Any]:
    """Trains a trial whose scores are drawn; `during` is called after each epoch is reported."""

    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        curve = []
        for epoch in range(1, 5):
            found = fake_trainer.epoch_report(config, epoch)
            curve.append(replace(found, metrics={"macro_f1": float(random.random())}, train_seconds=random.random()))
            so_far = replace(fake_trainer.measured(curve), best_epoch=epoch)
            report(replace(curve[-1], trained=fake_trainer.FakeResult(so_far, a_row(epoch))))
            during(epoch)
        return fake_trainer.FakeResult(fake_trainer.measured(curve))

    return train


def a_row(epoch: int) -> Predictions:
    return Predictions(np.full((1, 2), epoch, np.float32), np.zeros(1, np.int64))


def kept_names(folder: Path) -> set[str]:
    weights = RunFolder(folder).weights
    return {path.name for path in weights.iterdir()} if weights.is_dir() else set()


@pytest.mark.parametrize("seed", range(4))
def test_after_every_trial_just_the_points_of_the_front_are_kept(study: Study, tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    stopped = 0
    for rank in range(12):
        kind = random.choice(["complete", "complete", "pruned", "failed"])
        raises = {"pruned": optuna.TrialPruned("stopped"), "failed": ValueError("broken")}.get(kind)

        def during(epoch: int, raises: Exception | None = raises) -> None:
            if epoch == 2 and raises is not None:
                raise raises

        run(study, tmp_path, drawn(random, during), replace(CONFIG, settings={"rank": rank}))
        stopped += kind != "complete"
        front, whole = front_of_points(study), {r.number: r for r in records(study) if r.state == "complete"}
        sharing = {str(n) for n, r in whole.items() if r.measurement and f"{n}@{r.measurement.best_epoch}" in front}
        assert kept_names(tmp_path) - sharing == (front | front_of_whole_trials(study)) - sharing
        for name in kept_names(tmp_path):
            assert checkpoint_problem(RunFolder(tmp_path).weights / name) is None
    assert stopped


def test_a_point_keeps_what_its_own_epoch_said(study: Study, tmp_path: Path) -> None:
    run(study, tmp_path, drawn(np.random.default_rng(0)))
    epochs = [point.epoch for name in kept_names(tmp_path) if (point := parse_point(name)) and point.epoch]
    assert epochs
    for epoch in epochs:
        found = read_predictions(RunFolder(tmp_path).predictions(Point(0, epoch)))
        assert found is not None
        assert found.logits.tolist() == [[epoch, epoch]]


def test_another_trials_end_deletes_nothing_of_a_running_one(study: Study, tmp_path: Path) -> None:
    random, before = np.random.default_rng(1), set[str]()

    def during(epoch: int) -> None:
        if epoch == 2:
            before.update(kept_names(tmp_path))
            run(study, tmp_path, fake_trainer.train, replace(CONFIG, settings={"rank": 9}))
            assert before <= kept_names(tmp_path)

    run(study, tmp_path, drawn(random, during))
    assert "0@1" in before
    assert kept_names(tmp_path) == front_of_points(study) | front_of_whole_trials(study)


@pytest.mark.parametrize("error", [ValueError("broken"), TrialFailure("not_finite", "loss is nan")])
def test_a_trial_that_fails_keeps_none_of_its_epochs(study: Study, tmp_path: Path, error: Exception) -> None:
    seen = set[str]()

    def during(epoch: int) -> None:
        seen.update(kept_names(tmp_path))
        if epoch == 2:
            raise error

    assert run(study, tmp_path, drawn(np.random.default_rng(0), during)).state == "failed"
    assert seen
    assert kept_names(tmp_path) == set()


def test_a_trial_that_begins_again_has_none_of_the_epochs_of_its_first_attempt(study: Study, tmp_path: Path) -> None:
    def during(epoch: int) -> None:
        if epoch == 3:
            raise Interrupted("asked to stop")

    with pytest.raises(Interrupted):
        run(study, tmp_path, drawn(np.random.default_rng(0), during))
    assert max(kept_names(tmp_path)) > "0@1"
    seen = []
    trial = optuna.trial.Trial(study, trial_id(study, 0))
    again = drawn(np.random.default_rng(2), lambda epoch: seen.append(kept_names(tmp_path)))
    execute.run(study, trial, CONFIG, again, "none", RunFolder(tmp_path), lambda: False)
    assert seen[0] == {"0@1"}


def test_a_pruned_trials_epochs_are_points_of_the_front(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decide(rule: str, trial: Record, *_: object, **__: object) -> Decision | None:
        return Decision("why") if len(trial.curve) == 2 else None

    monkeypatch.setattr(execute, "decide", decide)
    record = run(study, tmp_path, drawn(np.random.default_rng(0)))
    assert (record.state, record.measurement, record.reason) == ("pruned", None, "why")
    assert record.so_far is not None
    assert record.so_far.epochs == 2
    assert [point.epoch for point in epochs_of(record, objective_names(study))] == [1, 2]
    assert kept_names(tmp_path) == front_of_points(study) != set()


def test_where_whole_trials_count_only_no_epoch_is_kept(study: Study, tmp_path: Path) -> None:
    write_every_epoch(study, counts=False)
    seen = []
    run(study, tmp_path, drawn(np.random.default_rng(0), lambda epoch: seen.append(kept_names(tmp_path))))
    assert seen == [set()] * 4
    assert kept_names(tmp_path) == {"0"}


@pytest.mark.parametrize("goes_on", [False, True])
def test_a_full_disk_at_the_end_of_an_epoch_is_not_the_trials_failure(
    study: Study, tmp_path: Path, goes_on: bool
) -> None:
    class Full(fake_trainer.FakeResult):
        def save(self, folder: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    def train(config: TrialConfig, report: Any, should_stop: Any) -> Any:
        found = fake_trainer.epoch_report(config, 1)
        report(replace(found, trained=fake_trainer.FakeResult(fake_trainer.measured([found]))))
        found = replace(fake_trainer.epoch_report(config, 2), metrics={"macro_f1": 1.0})
        assert kept_names(tmp_path) == {"0@1"}
        if goes_on:
            state = RunFolder(tmp_path).paused_state(config.key())
            state.parent.mkdir()
            state.touch()
        report(replace(found, trained=Full(fake_trainer.measured([found]))))

    with pytest.raises(DiskFull):
        run(study, tmp_path, train)
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING]
    assert kept_names(tmp_path) == ({"0@1"} if goes_on else set()), "which makes room"
