from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from socket import gethostname
from types import SimpleNamespace
from typing import Any

import pytest

from peftsearch.core.errors import TrialFailure
from peftsearch.core.files.disk import DiskRefuses
from peftsearch.core.progress import StepReport, on_step_of
from peftsearch.report.study_views import trial_line
from peftsearch.storage.alike.data import check_search_data
from peftsearch.storage.liveness.heartbeat import Heartbeat
from peftsearch.storage.records import records
from peftsearch.workers import job as job_module
from peftsearch.workers.job import WorkerReport
from peftsearch.workers.search_task import search_task
from peftsearch.workers.worker import run_job
from tests.helpers import fake_trainer
from tests.helpers.search import FAKE_WORKER, Search, in_study, until
from tests.helpers.toy import toy_data


def in_process(search: Search, train: Any = fake_trainer.train, stop: threading.Event | None = None) -> WorkerReport:
    return in_study(search.prepare(), search, train, stop)


def test_a_worker_trains_the_budget_and_no_more(search: Search) -> None:
    assert in_process(search) == WorkerReport("budget")
    found = search.records()
    assert [record.state for record in found] == ["complete"] * 6
    assert [record.number for record in found] == list(range(6))
    assert len({record.config.key() for record in found if record.config}) == 6
    assert all(record.worker["device"] == "auto" and record.heartbeat for record in found)
    assert in_process(search) == WorkerReport("budget")
    assert len(search.records()) == 6


def test_the_baselines_go_first_and_one_of_every_method_is_tried(search: Search) -> None:
    in_process(search)
    assert [record.config.method for record in search.records()[:3] if record.config] == ["probe", "full", "lora"]


def test_failures_of_configurations_count_and_errors_do_not(search: Search) -> None:
    trained = []

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        trained.append(config)
        if len(trained) == 1:
            raise TrialFailure("not_finite", "loss is nan")
        if len(trained) == 2:
            raise ValueError("a bug")
        return fake_trainer.train(config, report, should_stop)

    assert in_process(search, train) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["failed", "failed", *["complete"] * 5]


def test_equal_errors_end_the_worker_and_say_so(search: Search) -> None:
    def train(*_: Any) -> Any:
        raise ValueError("a bug")

    assert in_process(search, train) == WorkerReport("errors", "3 trials in a row failed alike: ValueError: a bug")
    assert [record.state for record in search.records()] == ["failed"] * 3


def test_a_folder_that_cannot_be_written_ends_the_worker_and_costs_no_configuration(search: Search) -> None:
    def train(*_: Any) -> Any:
        raise DiskRefuses("runs/toy/weights: Read-only file system; use another folder")

    with pytest.raises(DiskRefuses, match="Read-only"):  # which is the user's to mend: `run_job` reports a refusal
        in_process(search, train)
    assert {record.state for record in search.records()} == {"waiting"}


def test_a_space_with_nothing_new_ends_the_worker_and_says_so(search: Search) -> None:
    search = search.with_methods("{full: {learning_rate: [2.0e-5, 3.0e-5]}}")
    report = in_process(search)
    assert report == WorkerReport(
        "exhausted", "100 configurations in a row had been tried before; the space holds nothing new"
    )
    assert [record.state for record in search.records()] == ["complete"] * 2


def test_a_stop_in_the_middle_puts_the_trial_back(search: Search) -> None:
    stop = threading.Event()

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        report(fake_trainer.epoch_report(config, 1))
        stop.set()
        assert should_stop()
        return fake_trainer._sleep(1, should_stop)

    assert in_process(search, train, stop) == WorkerReport("interrupted")
    assert [(record.state, len(record.curve)) for record in search.records()] == [
        ("waiting", 1),
        *[("waiting", 0)] * 2,
    ]
    assert in_process(search) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["complete"] * 6


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What a job takes for the time now, which stands still unless a test sets it."""
    now = [0.0]
    monkeypatch.setattr(job_module, "time", SimpleNamespace(time=lambda: now[0]))
    return now


def limited(search: Search) -> Search:
    """The same search with a time limit, at 1 on the `clock`."""
    return replace(search, job=replace(search.job, deadline=1.0))


def test_a_trial_with_an_epoch_ends_with_the_time_limit_and_keeps_it(search: Search, clock: list[float]) -> None:
    """Although the parent asks the worker to end, as it does at the limit."""
    stop = threading.Event()

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        def report_and_go_on(epoch: Any) -> None:
            report(epoch)
            assert not should_stop()
            clock[0] = 1.0
            stop.set()

        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FAKE_SECONDS", "0.01")
            return fake_trainer.train(config, report_and_go_on, should_stop)

    assert in_process(limited(search), train, stop) == WorkerReport("interrupted")
    first, *others = search.records()
    assert (first.state, [record.state for record in others]) == ("complete", ["waiting"] * 2)
    assert trial_line(first, search.spec.objectives).endswith(", the time limit ended it after epoch 1 of 3")
    assert in_process(search) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["complete"] * 6


def test_a_trial_without_an_epoch_is_put_back_at_the_time_limit(search: Search, clock: list[float]) -> None:
    def train(config: Any, report: Any, should_stop: Any) -> Any:
        clock[0] = 1.0
        return should_stop()

    assert in_process(limited(search), train) == WorkerReport("interrupted")
    assert [record.state for record in search.records()] == ["waiting"] * 3


def test_no_trial_begins_after_the_time_limit(search: Search, clock: list[float]) -> None:
    clock[0] = 1.0
    assert in_process(limited(search)) == WorkerReport("interrupted")
    assert [record.state for record in search.records()] == ["waiting"] * 3


def test_the_heartbeat_is_told_of_the_steps(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[StepReport] = []
    monkeypatch.setattr(Heartbeat, "reached", lambda _, at: told.append(at))

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        on_step_of(should_stop)(StepReport(7, 60, 0.5))
        return fake_trainer.train(config, report, should_stop)

    assert in_process(search, train) == WorkerReport("budget")
    assert set(told) == {StepReport(7, 60, 0.5)}


def test_a_full_disk_puts_the_trial_back_and_ends_the_worker_with_one_line(search: Search) -> None:
    class Unsaved(fake_trainer.FakeResult):
        def save(self, folder: Path) -> None:
            folder.mkdir(parents=True)
            (folder / "half").touch()
            raise RuntimeError("I/O error: No space left on device (os error 28)")

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        return Unsaved(fake_trainer.train(config, report, should_stop).measurement)

    report = in_process(search, train)
    assert report.ending == "errors"
    assert re.fullmatch(
        r"the disk of \S+/weights is full, or its quota is used up \([\d,.]+ MB free\): make room", report.message
    )
    assert [(record.state, record.measurement) for record in search.records()] == [("waiting", None)] * 3
    assert list(search.job.run_folder.weights.iterdir()) == []
    assert in_process(search) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["complete"] * 6


def test_a_trial_that_another_process_failed_is_let_go(search: Search) -> None:
    """This machine slept, say, and another one took the worker for dead."""
    from optuna.trial import TrialState

    trained = []

    def train(config: Any, report: Any, should_stop: Any) -> Any:
        trained.append(config)
        if len(trained) == 1:
            study = search.prepare()
            [running] = study.get_trials(states=(TrialState.RUNNING,))
            study._storage.set_trial_state_values(running._trial_id, TrialState.FAIL)
        return fake_trainer.train(config, report, should_stop)

    assert in_process(search, train) == WorkerReport("budget")
    assert [record.state for record in search.records()].count("complete") == 6


def test_a_job_that_cannot_be_done_is_refused_with_its_reason(search: Search) -> None:
    job = replace(search.job, storage="nonsense")
    report = run_job(job, threading.Event())
    assert report.ending == "refused"
    assert "nonsense" in report.message


def test_an_edit_of_the_study_file_during_the_search_changes_nothing(search: Search) -> None:
    search.prepare()
    Path(search.job.path).write_text("name: another")
    assert run_job(search.job, threading.Event(), partial(search_task, fake_trainer.trainer)) == WorkerReport("budget")
    assert [record.state for record in search.records()] == ["complete"] * 6


def test_the_real_trainer_refuses_data_that_is_not_there(search: Search) -> None:
    search.prepare()
    report = run_job(search.job, threading.Event())
    assert report.ending == "refused"
    assert "rows.csv" in report.message


def test_a_worker_on_a_machine_with_other_packages_is_refused_unless_they_are_wanted(search: Search) -> None:
    """As a node of a cluster may have, although the driver was accepted."""
    search.prepare().set_user_attr("package_versions", [{"torch": "2.0.1"}])
    make = partial(search_task, fake_trainer.trainer)
    refused = run_job(search.job, threading.Event(), make)
    assert (refused.ending, search.records()[0].state) == ("refused", "waiting")
    assert re.fullmatch(
        rf"{gethostname()} has torch {version('torch').partition('+')[0]}, but the search was begun with torch 2.0.1; "
        "install the same versions, or take both with --other-packages",
        refused.message,
    )
    assert run_job(replace(search.job, other_packages=True), threading.Event(), make) == WorkerReport("budget")


def test_the_real_trainer_refuses_data_that_is_not_the_search_s(search: Search) -> None:
    rows = [f"a {word} number {number},{word}" for number in range(40) for word in ("cat", "dog")]
    Path(search.job.path).with_name("rows.csv").write_text("\n".join(["text,label", *rows]))
    study = search.prepare()
    check_search_data(study, toy_data(train=48, validation=24))
    report = run_job(search.job, threading.Event())
    assert report.ending == "refused"
    assert report.message.startswith(f"the data of 'toy' on {gethostname()} is not what the search was begun with (")
    assert "train had 48 rows then and has 56 now" in report.message


@pytest.mark.parametrize("ending", ["budget", "parent gone"])
def test_a_worker_process_takes_its_job_from_a_pipe(search: Search, monkeypatch: Any, ending: str) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0" if ending == "budget" else "60")
    study = search.prepare()
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", FAKE_WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(search.job.to_line())
    process.stdin.flush()
    if ending == "parent gone":
        until(lambda: any(record.state == "running" for record in records(study)))
        assert search.job.storage not in " ".join(_arguments(process.pid))
        process.stdin.close()
    said = json.loads(process.stdout.read())
    assert process.wait(timeout=20) == 0
    process.stdout.close()
    assert said["ending"] == ("budget" if ending == "budget" else "interrupted")
    states = {record.state for record in records(study)}
    assert states == ({"complete"} if ending == "budget" else {"waiting"})


def test_a_worker_without_a_parent_ends_even_if_it_hangs() -> None:
    code = (
        "import threading, peftsearch.workers.worker as worker\n"
        "worker.ORPHAN_SECONDS = 0.1\n"
        "threading.Thread(target=worker._watch_parent, args=(threading.Event(),)).start()\n"
        "threading.Event().wait()"
    )
    ended = subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, timeout=60)
    assert ended.returncode == -signal.SIGKILL


def test_an_epoch_that_is_reported_is_a_sign_of_life(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trainer may have no steps, and ask nobody whether it is to stop."""
    steps: list[None] = []
    monkeypatch.setattr(Heartbeat, "step", lambda _: steps.append(None))
    in_process(search, lambda config, report, should_stop: fake_trainer.train(config, report))
    assert len(steps) == 6 * 3


def _arguments(pid: int) -> list[str]:
    import psutil

    return psutil.Process(pid).cmdline()
