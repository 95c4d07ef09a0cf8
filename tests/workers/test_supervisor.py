from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import psutil
import pytest
from optuna.trial import TrialState

from peftsearch.core.errors import UserError
from peftsearch.core.progress import StepReport
from peftsearch.search.flatness import Flatness
from peftsearch.storage.claims import claim
from peftsearch.storage.database import reopen_study
from peftsearch.storage.liveness.silence import listener_of
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.storage.records import Record
from peftsearch.storage.trial_attributes import write_heartbeat, write_progress
from peftsearch.workers import devices, gpu_packing
from peftsearch.workers.devices import GpuUsage
from peftsearch.workers.engine import Ended
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.local import LocalEngine, local_engine, single_worker
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.supervisor import GRACE_SECONDS, MOST_DEATHS, RECLAIM_SECONDS, Supervisor, run_workers
from tests.helpers.scripted_engine import ScriptedEngine, ScriptedWorker
from tests.helpers.search import FAKE_WORKER, TEXTS, Search, until

ROOT = Path(__file__).parents[2]


@contextmanager
def timed() -> Iterator[list[float]]:
    """How many seconds the block takes."""
    seconds: list[float] = []
    began = time.monotonic()
    yield seconds
    seconds.append(time.monotonic() - began)


def states(search: Search) -> Counter[str]:
    return Counter(record.state for record in search.records())


@contextmanager
def parent(search: Search, workers: int) -> Iterator[subprocess.Popen[str]]:
    """A process of its own that runs the search."""
    command = [sys.executable, "-m", "tests.helpers.optimize", search.job.to_line(), str(workers)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "worker" in " ".join(child.cmdline())]


def test_four_workers_train_exactly_the_budget(search: Search) -> None:
    assert search.run(workers=4, budget=20) == Outcome("done")
    assert states(search) == {"complete": 20}
    assert {record.worker["pid"] for record in search.records()} != {os.getpid()}
    assert len({record.config.key() for record in search.records() if record.config}) == 20


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> GpuUsage:
    """One GPU that is always a fifth busy, and a search that believes what it sees at once."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    monkeypatch.setattr(devices, "cores", lambda: list(range(8)))
    monkeypatch.setattr(gpu_packing, "SAMPLES", 1)
    usage = GpuUsage(utilisation=0.2, used_memory=2**30, total_memory=80 * 2**30)
    monkeypatch.setattr(devices, "gpu_usage", lambda names: [usage])
    return usage


def most_at_once(search: Search, **settings: int) -> int:
    running = [0]

    def on_tick(records: list[Record]) -> None:
        running.append(sum(record.state == "running" for record in records))

    job = replace(search.job, budget=14)
    assert run_workers(search.prepare(), job, local_engine(module=FAKE_WORKER, **settings), on_tick=on_tick) == Outcome(
        "done"
    )
    assert states(search) == {"complete": 14}
    return max(running)


def test_a_gpu_with_room_gets_more_workers(search: Search, gpu: GpuUsage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "1")  # the first worker must not have trained all before the second has started
    assert 2 <= most_at_once(search) <= gpu_packing.MAX_WORKERS


def test_a_number_of_workers_that_is_asked_for_stays(search: Search, gpu: GpuUsage) -> None:
    assert most_at_once(search, per_device=1) == 1


@pytest.mark.parametrize("made", [partial(local_engine, per_device=1), partial(local_engine, 1), single_worker])
def test_text_methods_never_hold_a_worker_of_a_gpu(
    search: Search, gpu: GpuUsage, made: Callable[..., LocalEngine]
) -> None:
    """Every trial of tfidf but the very last is a worker's without a GPU, and the budget is exact all the same."""
    search = search.with_methods(TEXTS)
    job = replace(search.job, budget=8)
    engine = made(module=FAKE_WORKER, methods=list(search.spec.methods))
    assert run_workers(search.prepare(), job, engine) == Outcome("done")
    assert states(search) == {"complete": 8}
    found = [(record.config.method, record.worker["device"]) for record in search.records() if record.config]
    assert set(found[:-1]) == {("tfidf", "cpu"), ("full", "auto")}
    assert found[-1] in {("tfidf", "auto"), ("full", "auto")}
    assert len(list(job.run_folder.root.glob("worker-*.log"))) == 2, "each has a log of its own"


def test_a_worker_of_text_methods_runs_only_while_one_waits(search: Search) -> None:
    search = search.with_methods(TEXTS)
    study, engine = search.prepare(), ScriptedEngine(room=2, beside=True)
    supervisor = Supervisor(study, search.job, engine)
    assert supervisor.step()
    texts, encoders = engine.started
    assert (texts.index, encoders.index) == (0, 1)
    texts.known_as = {"pid": 7, "host": "elsewhere", "started": 0.0}
    trial = claim(study, search.job.budget, texts.known_as, "texts")
    assert trial is not None
    study.tell(trial, [0.5] * len(study.directions))
    texts.ended = Ended(WorkerReport("budget"))
    assert supervisor.step()
    assert engine.started == [texts, encoders], "what is left is for the other one"
    study.enqueue_trial({"method": "tfidf", "tfidf.longest_term": 3})
    assert supervisor.step()
    assert [worker.index for worker in engine.started] == [0, 1, 0]
    encoders.ended = Ended(WorkerReport("exhausted", "nothing new"))
    engine.started[2].ended = Ended(WorkerReport("interrupted"))
    assert supervisor.step()
    assert supervisor.outcome == Outcome("exhausted", "nothing new")
    assert [worker.index for worker in engine.started] == [0, 1, 0, 0], "a text method still waits"


def test_the_engine_is_told_which_trials_make_steps(search: Search) -> None:
    told: list[tuple[int, int]] = []

    class Asked(ScriptedEngine):
        def capacity(self, holding: int, training: int) -> int:
            told.append((holding, training))
            return super().capacity(holding, training)

    search = search.with_methods(TEXTS)
    study, engine = search.prepare(), Asked(room=3, beside=True)
    supervisor = Supervisor(study, replace(search.job, budget=9), engine)
    assert supervisor.step()
    for worker, takes in zip(engine.started, ("texts", "encoders", "encoders"), strict=True):
        worker.known_as = {"pid": 7 + worker.index, "host": "elsewhere", "started": 0.0}
        trial = claim(study, 9, worker.known_as, takes)
        assert trial is not None
    assert supervisor.step()
    write_progress(storage_of(study), trial_id(study, trial.number), time.time(), 0.1, StepReport(1, 9))
    assert supervisor.step()
    assert told == [(0, 0), (2, 0), (2, 1)], "that of the worker without a GPU does not count"


def test_the_budget_is_a_total_over_all_runs(search: Search) -> None:
    search.run(budget=3)
    assert search.run(workers=4, budget=3) == Outcome("done")
    assert not search.job.run_folder.worker_log(1).exists(), "there was nothing to start a worker for"
    assert states(search) == {"complete": 3}
    search.run(budget=5)
    assert [record.number for record in search.records()] == [0, 1, 2, 3, 4]


def test_a_worker_that_dies_is_replaced_and_its_configuration_tried_once_more(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every trial of lora kills its worker. Nothing else is lost."""
    monkeypatch.setenv("FAKE_KILL", "lora")
    search.run(budget=3)
    found = search.records()
    killed = [record for record in found if record.failure]
    assert [record.failure["kind"] for record in killed[:2] if record.failure] == ["killed", "killed"]
    assert (killed[0].number, killed[1].retry_of) == (2, 2)
    assert all(record.config and record.config.method == "lora" for record in killed)
    assert not any(record.state == "running" for record in found)
    assert states(search)["complete"] >= 2


def test_workers_that_only_die_end_the_search(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = search.run(budget=6, module="tests.helpers.nothing")
    assert outcome.how == "deaths"
    assert outcome.message.startswith("3 workers died in a row (exit code 1); the last one's log, ")
    assert outcome.message.endswith(": No module named tests.helpers.nothing")
    assert states(search) == {"waiting": 3}


def test_equal_errors_end_the_search_and_say_so(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_ERROR", "full")
    outcome = search.with_methods("{full: {learning_rate: {log: [1.0e-5, 1.0e-3]}}}").run()
    assert outcome == Outcome("errors", "3 trials in a row failed alike: ValueError: a matrix of the wrong shape")


def test_workers_end_alike_once_the_search_is_flat(search: Search) -> None:
    outcome = search.run(workers=3, budget=300, flat_from=0)
    ended = search.records()
    flatness = Flatness(0, search.spec.objectives, every_epoch=True, tolerance=search.spec.tolerance)
    assert outcome == Outcome("flat", flatness.reached(ended) or "it is not flat")
    decided = int(outcome.message.split(" trials")[0].split()[-1])
    assert states(search) == {"complete": len(ended)}, "a trial that ran is trained to its end"
    trials = search.prepare().get_trials(deepcopy=False)
    known = max(trial.datetime_complete for trial in trials[:decided] if trial.datetime_complete)
    after = [trial for trial in trials if trial.datetime_start and trial.datetime_start > known]
    assert len(after) <= 3, "each worker may have looked just before, and ends with the trial that it holds"


def test_the_total_of_trials_is_reached_first_if_it_is_less(search: Search) -> None:
    assert search.run(workers=1, budget=8, flat_from=0) == Outcome("done")
    assert states(search) == {"complete": 8}


def test_when_the_space_is_exhausted_the_other_workers_finish_their_trials(search: Search) -> None:
    engine = ScriptedEngine(room=2)
    supervisor = Supervisor(search.prepare(), search.job, engine)
    assert supervisor.step()
    first, second = engine.started
    first.ended = Ended(WorkerReport("exhausted", "nothing new"))
    assert supervisor.step()
    assert supervisor.outcome == Outcome("exhausted", "nothing new")
    assert not second.interrupted
    second.ended = Ended(WorkerReport("exhausted", "nothing new"))
    assert not supervisor.step()
    assert engine.started == [first, second], "no other worker is started"


def test_workers_that_wait_for_a_place_are_not_started_once_more(search: Search) -> None:
    engine = ScriptedEngine(room=10)
    supervisor = Supervisor(search.prepare(), replace(search.job, budget=4), engine)
    for _ in range(3):
        assert supervisor.step()
    assert [worker.index for worker in engine.started] == [0, 1, 2, 3]


def test_a_worker_that_dies_on_another_machine_is_known_to_be_dead(search: Search) -> None:
    """The engine says so; without it, only a missing heartbeat would."""
    study, engine = search.prepare(), ScriptedEngine()
    supervisor = Supervisor(study, search.job, engine)
    assert supervisor.step()
    [worker] = engine.started
    worker.known_as = {"pid": 7, "host": "elsewhere", "started": 0.0}
    claim(study, search.job.budget, worker.known_as)
    worker.ended = Ended(None, "signal SIGSEGV")
    assert supervisor.step()
    assert states(search) == {"failed": 1, "waiting": 3}
    assert len(engine.started) == 2


def test_workers_whose_machine_is_lost_are_replaced_and_their_trials_put_back(search: Search) -> None:
    """As often as it happens: neither the configuration nor the search is to blame."""
    study, engine = search.prepare(), ScriptedEngine()
    supervisor = Supervisor(study, search.job, engine)
    for lost in range(2 * MOST_DEATHS):
        assert supervisor.step()
        worker = engine.started[lost]
        worker.known_as = {"pid": os.getpid(), "host": host()}
        claim(study, search.job.budget, worker.known_as)
        assert states(search) == {"running": 1, "waiting": 2}
        worker.ended = Ended(None, "its machine was lost", lost=True)
    assert supervisor.step()
    assert supervisor.outcome is None
    assert states(search) == {"waiting": 3}
    assert len(engine.started) == 2 * MOST_DEATHS + 1


def test_a_worker_whose_trial_hangs_is_killed_and_replaced(search: Search) -> None:
    """By its parent: its own heartbeat goes on."""
    study, engine = search.prepare(), ScriptedEngine()
    supervisor = Supervisor(study, replace(search.job, trial_timeout=20.0), engine)
    assert supervisor.step()
    [worker] = engine.started
    worker.known_as = {"pid": os.getpid(), "host": host()}
    trial = claim(study, search.job.budget, worker.known_as)
    assert trial is not None
    write_progress(storage_of(study), trial_id(study, 0), last_step=1000.0, slowest_step=1.0)
    write_heartbeat(storage_of(study), trial_id(study, 0), 1020.0)
    assert supervisor.step()
    assert worker.ended is None
    write_heartbeat(storage_of(study), trial_id(study, 0), 1021.0)
    assert supervisor.step()
    assert worker.ended is not None
    assert supervisor.step()
    first, *_, again = search.records()
    assert first.failure == {
        "kind": "hung",
        "message": "it made no step for 21 s, and its limit is 20 s; its configuration is tried once more",
    }
    assert (again.state, again.retry_of) == ("waiting", 0)
    assert len(engine.started) == 2


@pytest.mark.parametrize("busy", ["", "1"])
def test_a_hung_trial_costs_only_its_first_try(search: Search, monkeypatch: pytest.MonkeyPatch, busy: str) -> None:
    """Whether it sleeps or computes for ever."""
    marker = Path(search.job.folder).parent.parent / "hang"
    marker.touch()
    monkeypatch.setenv("FAKE_HANG_ONCE", str(marker))
    monkeypatch.setenv("FAKE_BUSY", busy)
    assert search.run(budget=4, trial_timeout=2.0) == Outcome("done")
    assert states(search) == {"complete": 4, "failed": 1}
    [hung] = [record for record in search.records() if record.failure]
    assert hung.failure is not None
    assert hung.failure["kind"] == "hung"
    assert [record.retry_of for record in search.records()].count(hung.number) == 1


def test_a_timeout_does_not_wait_for_a_worker_that_hangs(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = Path(search.job.folder).parent.parent / "hang"
    marker.touch()
    monkeypatch.setenv("FAKE_HANG_ONCE", str(marker))
    study = search.prepare()
    with timed() as seconds:
        outcome = run_workers(study, search.job, LocalEngine(1, module=FAKE_WORKER), timeout=14)
    assert outcome == Outcome("timeout")
    assert seconds[0] < 14 + GRACE_SECONDS - 2
    assert states(search) == {"waiting": 3}


def lives_on(search: Search, slowest: float, after: float) -> bool:
    """Whether a worker lives, which went on with its heart but made no step, so long after it was asked to end."""
    study, engine = search.prepare(), ScriptedEngine()
    supervisor = Supervisor(study, search.job, engine)
    supervisor.step()
    [worker] = engine.started
    worker.known_as = {"pid": os.getpid(), "host": host()}
    claim(study, search.job.budget, worker.known_as)
    supervisor.on_request_to_end(signal.SIGINT)
    supervisor.step()
    assert worker.interrupted
    assert worker.ended is None
    write_progress(storage_of(study), trial_id(study, 0), last_step=1000.0, slowest_step=slowest)
    write_heartbeat(storage_of(study), trial_id(study, 0), 1000.0 + after)
    assert supervisor.stopped is not None
    supervisor.stopped -= after
    supervisor.step()
    return worker.ended is None


@pytest.mark.parametrize(
    ("slowest", "after", "lives"),
    [(0.1, 9.0, True), (0.1, 12.0, False), (5.0, 12.0, True), (5.0, 16.0, False), (60.0, 21.0, False)],
)
def test_a_worker_without_a_step_has_less_time_to_end(
    search: Search, slowest: float, after: float, lives: bool
) -> None:
    assert lives_on(search, slowest, after) is lives


def test_trials_of_another_search_are_waited_for_and_then_taken_over(search: Search) -> None:
    """The last ones: this search has nothing else to do."""
    study, engine, said = search.prepare(), ScriptedEngine(), []
    elsewhere = {"pid": 71, "host": "beta", "started": 0.0}
    for _ in range(3):
        claim(study, 3, elsewhere)
    supervisor = Supervisor(study, replace(search.job, budget=3), engine, say=said.append)
    assert [supervisor.step() for _ in range(3)] == [True] * 3
    assert engine.started == []
    for number in (0, 1):
        storage_of(study).set_trial_state_values(trial_id(study, number), TrialState.COMPLETE, [0.5, 1.0, 1.0])
    assert supervisor.step()
    assert said == [
        "waiting for other searches: trials 0 (process 71 on beta), 1 (process 71 on beta), 2 (process 71 on beta);"
        " a trial without a worker is taken over",
        "waiting for other searches: trial 2 (process 71 on beta); a trial without a worker is taken over",
    ]
    listener, began = listener_of(study), time.monotonic()
    for after in range(10, 100, 10):
        listener.clock = lambda after=after: began + after  # type: ignore[misc]
        supervisor.reclaimed -= 2 * RECLAIM_SECONDS
        assert supervisor.step()
    assert len(engine.started) == 1, "for the trial that was taken over"
    assert states(search) == {"complete": 2, "failed": 1, "waiting": 1}
    claim(study, 3, {"pid": 1, "host": "here"})
    storage_of(study).set_trial_state_values(trial_id(study, 3), TrialState.COMPLETE, [0.5, 1.0, 1.0])
    engine.started[0].ended = Ended(WorkerReport("budget"))
    assert not supervisor.step()
    assert supervisor.outcome is None


@pytest.mark.parametrize("hours", [0.0, -1.0])
def test_who_does_not_wait_for_others_still_takes_over_what_was_lost_before_it_began(
    search: Search, hours: float
) -> None:
    """As a pod does that comes back under another name, after its trial, the last one, has lost it."""
    study, engine = search.prepare(), ScriptedEngine()
    for number in range(3):
        claim(study, 3, {"pid": 71, "host": "beta", "started": 0.0})
        write_heartbeat(storage_of(study), trial_id(study, number), time.time() + 3600 * hours)
    study = reopen_study(search.job.storage, search.job.name, 5.0)  # as another process does, which has heard nothing
    supervisor = Supervisor(study, replace(search.job, budget=3), engine, until_done=False)
    assert supervisor.step() is (hours != 0)
    listener, began = listener_of(study), time.monotonic()
    for after in range(10, 100, 10) if hours else ():
        listener.clock = lambda after=after: began + after  # type: ignore[misc]
        supervisor.reclaimed -= 2 * RECLAIM_SECONDS
        assert supervisor.step()
    assert len(engine.started) == (1 if hours else 0)


def test_a_search_that_waits_for_others_can_be_ended(search: Search) -> None:
    study = search.prepare()
    for _ in range(3):
        claim(study, 3, {"pid": 71, "host": "beta", "started": 0.0})
    supervisor = Supervisor(study, replace(search.job, budget=3), ScriptedEngine())
    assert supervisor.step()
    supervisor.on_request_to_end(signal.SIGTERM)
    assert not supervisor.step()
    assert supervisor.outcome == Outcome("interrupted", "SIGTERM")
    assert states(search) == {"running": 3}


def test_ten_deaths_and_errors_in_a_row_end_the_search(search: Search) -> None:
    """Other searches' trials are among them, so that this one has not seen three of its own workers die."""
    study, engine = search.prepare(), ScriptedEngine()
    since = time.time() - 5.0
    for number in range(9):
        trial = study.ask()
        trial.set_user_attr("failure", {"kind": "disk", "message": f"no room for {number}"})
        study.tell(trial, state=TrialState.FAIL)
    supervisor = Supervisor(study, replace(search.job, since=since), engine)
    assert supervisor.step()
    [worker] = engine.started
    worker.known_as = {"pid": 7, "host": "elsewhere", "started": 0.0}
    trial = claim(study, search.job.budget, worker.known_as)
    assert trial is not None
    trial.set_user_attr("config", search.records()[0].config.to_dict())  # type: ignore[union-attr]
    worker.ended = Ended(None, "signal SIGKILL")
    assert not supervisor.step()
    assert supervisor.outcome == Outcome(
        "errors",
        "10 trials in a row failed, the last one with: its worker process was killed;"
        " its configuration is tried once more",
    )


def test_a_job_that_no_worker_can_do_is_the_users_to_mend(search: Search) -> None:
    with pytest.raises(UserError, match=r"rows\.csv"):
        run_workers(search.prepare(), search.job, LocalEngine(1))


def test_the_parent_is_told_what_happens(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.2")
    seen: list[Counter[str]] = []
    last: list[Record] = []

    def on_tick(records: list[Record]) -> None:
        seen.append(Counter(record.state for record in records))
        last[:] = records

    run_workers(search.prepare(), replace(search.job, budget=3), LocalEngine(1, module=FAKE_WORKER), on_tick=on_tick)
    assert any(states["running"] == 1 for states in seen)
    assert all(states["running"] <= 1 for states in seen)
    assert [record.state for record in last] == ["complete"] * 3


def test_a_timeout_puts_back_what_is_running(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "60")
    outcome = run_workers(search.prepare(), search.job, LocalEngine(1, module=FAKE_WORKER), timeout=6)
    assert outcome == Outcome("timeout")
    assert states(search) == {"waiting": 3}


def test_workers_are_told_when_the_time_limit_ends_the_search(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Job] = []
    engine = ScriptedEngine()

    def start(job: Job, index: int) -> ScriptedWorker:
        told.append(job)
        return ScriptedWorker(index, ended=Ended(WorkerReport("interrupted")))

    monkeypatch.setattr(engine, "start", start)
    before = time.time()
    assert run_workers(search.prepare(), search.job, engine, timeout=1.5) == Outcome("timeout")
    assert told[0].deadline is not None
    assert before + 1.5 <= told[0].deadline <= time.time()


def test_killed_in_the_middle_and_started_again_it_ends_with_exactly_the_budget(
    search: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "0.3")
    search = replace(search, job=replace(search.job, budget=8))
    with parent(search, workers=2) as process:
        until(lambda: states(search)["complete"] >= 1 and states(search)["running"] >= 1)
        workers = children(process)
        for victim in [process, *workers]:
            os.kill(victim.pid, signal.SIGKILL)
        process.wait()
        psutil.wait_procs(workers, timeout=5)
    assert states(search)["running"] >= 1
    monkeypatch.setenv("FAKE_SECONDS", "0")
    assert search.run(workers=2, budget=8) == Outcome("done")
    found = search.records()
    done = [record for record in found if record.state == "complete"]
    assert len(done) == 8
    assert not any(record.state in ("running", "waiting") for record in found)
    assert [record.baseline for record in done].count(0) == 1
    assert len({record.config.key() for record in done if record.config}) == 8
    kinds = {record.failure["kind"] for record in found if record.failure}
    assert kinds == {"interrupted"}, "their parent died with them"


def test_workers_outlive_their_parent_by_one_step_only(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "60")
    with parent(search, workers=1) as process:
        until(lambda: states(search)["running"] == 1)
        [worker] = children(process)
        process.kill()
        process.wait()
        psutil.wait_procs([worker], timeout=10)
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
    assert states(search) == {"waiting": 3}


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_puts_the_running_trials_back(search: Search, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Once: the worker does it. Twice: the worker does not listen, and is killed."""
    monkeypatch.setenv("FAKE_SECONDS", "60")
    monkeypatch.setenv("FAKE_DEAF", "1" if times == 2 else "")
    with parent(search, workers=1) as process:
        until(lambda: states(search)["running"] == 1)
        [worker] = children(process)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        said, _ = process.communicate(timeout=15)
        assert json.loads(said) == {"how": "interrupted", "message": "Ctrl-C", "details": ""}
        assert not worker.is_running()
    assert states(search) == {"waiting": 3}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_requests_to_end_are_called_what_they_were(
    search: Search, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "60")
    with parent(search, workers=1) as process:
        until(lambda: states(search)["running"] == 1)
        process.send_signal(number)
        said, _ = process.communicate(timeout=15)
    assert json.loads(said) == {"how": "interrupted", "message": number.name, "details": ""}
    assert states(search) == {"waiting": 3}


def test_the_parent_imports_no_torch() -> None:
    code = "import sys, peftsearch.workers.supervisor, peftsearch.storage.prepare; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
