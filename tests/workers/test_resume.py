"""A trial that is interrupted or killed loses the epoch that it was in, and no more."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from peftsearch.core.measurement import EpochReport
from peftsearch.core.points import Point
from peftsearch.data.load import data_of_study
from peftsearch.storage.kept.front_checkpoints import kept_points
from peftsearch.storage.liveness.recovery import blame
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record
from peftsearch.training.resume import keeper
from peftsearch.training.trial import run_trial
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.search_task import real_trainer
from tests.helpers.search import Search, in_study, new_search
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data

STUDY = """\
name: toy
data: {{source: rows.csv, text: text, label: label}}
backbones: [{backbone}]
training: {{epochs: 4, batch_size: 8, precision: fp32}}
methods: {{full: {{learning_rate: [1.0e-3]}}}}
"""
DYING_WORKER = "tests.helpers.dying_worker"


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """One trial of four epochs."""
    rows = toy_data(train=60).splits["train"]
    lines = [f"{row['text']},{row['label']}" for row in rows]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *lines]))
    backbone = tiny_model(tmp_path / "bert", hidden_dropout_prob=0.2)
    found = new_search(tmp_path, monkeypatch, STUDY.format(backbone=backbone))
    monkeypatch.setattr(keeper, "SHARE", float("inf"))
    return replace(found, job=replace(found.job, budget=1, threads=1, device="cpu"))


def uninterrupted(search: Search, record: Record, tmp_path: Path) -> list[EpochReport]:
    data = data_of_study(search.spec.data, search.spec.folder, search.job.run_folder)
    reports: list[EpochReport] = []
    assert record.config is not None
    run_trial(record.config, data, reports.append, cache=tmp_path / "cache", device="cpu")
    return reports


def learnt(curve: Any) -> list[tuple[float, float, Any]]:
    return [(report.train_loss, report.validation_loss, report.metrics) for report in curve]


def states(search: Search) -> list[str]:
    return [path.name for path in search.job.run_folder.paused.iterdir()]


def test_a_trial_that_is_put_back_goes_on_after_its_last_epoch(search: Search, tmp_path: Path) -> None:
    stop, job = threading.Event(), search.job
    train = real_trainer(search.spec, job)

    def until_the_second(config: Any, report: Any, should_stop: Any) -> Any:
        def report_and_stop(found: EpochReport) -> None:
            report(found)
            if found.epoch == 2:
                stop.set()

        return train(config, report_and_stop, should_stop)

    study = search.prepare()
    assert in_study(study, search, until_the_second, stop) == WorkerReport("interrupted")
    [waiting] = search.records()
    assert (waiting.state, len(waiting.curve), waiting.worker) == ("waiting", 2, {})
    assert states(search) == [f"{waiting.config.key()}.safetensors"] if waiting.config else False
    assert in_study(study, search, train) == WorkerReport("budget")
    [done] = search.records()
    assert (done.state, done.number, done.curve[:2]) == ("complete", 0, waiting.curve)
    assert done.measurement
    assert done.measurement.train_seconds == sum(report.train_seconds for report in done.curve)
    assert learnt(done.curve) == learnt(uninterrupted(search, done, tmp_path))
    assert states(search) == [], "it has ended"


def test_a_killed_worker_costs_the_epoch_that_it_was_in(
    search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    once.touch()
    monkeypatch.setenv("DIE_ONCE", str(once))
    outcome = search.run(module=DYING_WORKER)
    assert (outcome.how, outcome.message) == ("done", "")
    killed, done = search.records()
    assert (killed.failure and killed.failure["kind"], done.state, done.retry_of) == ("killed", "complete", 0)
    assert len(killed.curve) == 2
    assert done.curve[:2] == killed.curve, "with the seconds that they took"
    assert learnt(done.curve) == learnt(uninterrupted(search, done, tmp_path))
    assert states(search) == []


class Killed(BaseException):
    """Ends a worker at once, as SIGKILL does."""


def test_two_kills_in_the_same_epoch_cost_neither_epochs_nor_their_weights(search: Search, tmp_path: Path) -> None:
    train, study = real_trainer(search.spec, search.job), search.prepare()

    def killed_in_the_third(config: Any, report: Any, should_stop: Any) -> Any:
        epochs: list[EpochReport] = []

        def count(found: EpochReport) -> None:
            epochs.append(found)
            report(found)

        def stop() -> bool:
            if len(epochs) == 2:
                raise Killed
            return bool(should_stop())

        return train(config, count, stop)

    for number in (0, 1):
        with pytest.raises(Killed):
            in_study(study, search, killed_in_the_third)
        assert blame(study, search.records()[-1].worker, kind="interrupted", message="killed") == [number]
    assert in_study(study, search, train) == WorkerReport("budget")
    *lost, done = search.records()
    assert [record.curve for record in lost] == [done.curve[:2]] * 2
    assert learnt(done.curve) == learnt(uninterrupted(search, done, tmp_path))
    objectives = search.spec.objectives
    kept = kept_points([point for point in points_of([done], objectives) if point.feasible], objectives)
    assert {path.name for path in search.job.run_folder.weights.iterdir()} == {str(point) for point in kept}
    assert Point(2, 1) in kept, "which the first worker trained"
    assert states(search) == []


def test_a_trial_without_a_state_here_begins_anew(search: Search, tmp_path: Path) -> None:
    """As on another machine."""
    stop = threading.Event()
    train = real_trainer(search.spec, search.job)
    seen: list[int] = []

    def until_the_first(config: Any, report: Any, should_stop: Any) -> Any:
        def report_and_stop(found: EpochReport) -> None:
            report(found)
            seen.append(found.epoch)
            stop.set()

        return train(config, report_and_stop, should_stop)

    study = search.prepare()
    in_study(study, search, until_the_first, stop)
    [waiting] = search.records()
    for state in search.job.run_folder.paused.iterdir():
        state.unlink()
    assert in_study(study, search, train) == WorkerReport("budget")
    [done] = search.records()
    assert (done.state, len(done.curve), seen) == ("complete", 4, [1])
    assert done.curve[0] != waiting.curve[0]
    assert learnt(done.curve[:1]) == learnt(waiting.curve)
