"""What only a cluster can do: lose a node, keep a worker waiting, outlive its driver."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from peftsearch.core.errors import UserError
from peftsearch.storage.records import Record
from peftsearch.workers.engine import Wanted, Worker
from peftsearch.workers.local import engine_of as local_engine_of
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.supervisor import run_workers
from tests.helpers.cluster import Nodes, missing, nodes
from tests.helpers.search import TEXTS, Search, until

__all__ = ["nodes"]
ROOT = Path(__file__).parents[2]


def running(search: Search) -> list[Record]:
    return [record for record in search.records() if record.state == "running"]


def test_a_lost_node_costs_no_try_and_its_worker_waits_for_another_place(
    search: Search, nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node goes away with all of its processes, so that nobody there puts the trial back."""
    monkeypatch.setenv("FAKE_GATE", str(tmp_path / "gate"))
    study, second, lost = search.prepare(), nodes.add(), []

    def lose_the_second_node(now: list[Record]) -> None:
        held = [record.worker["pid"] for record in now if record.state == "running" and record.worker]
        if len(held) < 2 or lost:
            return
        lost.extend(held)
        for pid in held:
            os.kill(pid, signal.SIGSTOP)
        nodes.lose(second)
        until(lambda: len(alive_nodes()) == sum(map(has_actor, held)) == 1)
        for pid in held:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT if has_actor(pid) else signal.SIGKILL)
        (tmp_path / "gate").touch()

    with closing(nodes.engine(2)) as engine:
        job = replace(search.job, budget=4, since=time.time())
        outcome = run_workers(study, job, engine, on_tick=lose_the_second_node)
    assert outcome == Outcome("done")
    assert Counter(record.state for record in search.records()) == {"complete": 4}
    assert len({record.config.key() for record in search.records() if record.config}) == 4


def alive_nodes() -> list[str]:
    import ray

    return [node["NodeID"] for node in ray.nodes() if node["Alive"]]


def has_actor(pid: int) -> bool:
    """Whether the actor that started a worker process still lives."""
    try:
        return "ray::" in " ".join(psutil.Process(psutil.Process(pid).ppid()).cmdline())
    except psutil.NoSuchProcess:
        return False


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_killed_and_an_interrupted_driver_lose_nothing(
    search: Search, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SECONDS", "600")
    study = search.prepare()
    command = [sys.executable, "-m", "tests.helpers.ray_driver", search.job.to_line(), nodes.address, "1"]
    with subprocess.Popen(command, cwd=ROOT) as driver:
        until(lambda: any(record.worker for record in running(search)))
        [worker] = [record.worker for record in running(search)]
        driver.kill()
    until(lambda: has_ended(worker["pid"]))  # Ray ends the actor with its driver, the actor the worker

    def interrupt(now: list[Record]) -> None:
        """Once: the second request would kill."""
        if os.environ["FAKE_SECONDS"] != "0" and any(record.state == "running" for record in now):
            monkeypatch.setenv("FAKE_SECONDS", "0")
            os.kill(os.getpid(), signal.SIGINT)

    with closing(nodes.engine(1)) as engine:
        job = replace(search.job, since=time.time())
        assert run_workers(search.prepare(), job, engine, on_tick=interrupt) == Outcome("interrupted", "Ctrl-C")
        # Of a worker that nobody knew by name yet, the actor is ended, and the worker puts its trial back by itself.
        until(lambda: Counter(record.state for record in search.records() if record.counts) == {"waiting": 3})
        monkeypatch.chdir(Path(job.path).parent)  # a storage may be named from the driver's folder
        there = replace(job, storage="sqlite:///runs/toy.db", since=time.time())
        assert run_workers(study, there, engine) == Outcome("done")
    assert Counter(record.state for record in search.records() if record.counts) == {"complete": 6}
    assert [record.failure["kind"] for record in search.records() if record.failure] in ([], ["interrupted"])


def refusal_of(worker: Worker) -> str:
    """Why a worker cannot do its job."""
    until(lambda: worker.poll() is not None)
    ended = worker.poll()
    assert ended
    assert ended.report
    assert ended.report.ending == "refused"
    return ended.report.message


def test_a_folder_that_a_node_does_not_have_is_the_users_to_share(search: Search, nodes: Nodes) -> None:
    with closing(nodes.engine(1)) as engine:
        said = refusal_of(engine.start(replace(search.job, path="/nowhere/toy.yaml"), 0))
    assert said.startswith("the folder /nowhere is not on the machine ")
    assert said.endswith("; --engine ray needs a folder that all nodes share")


def test_a_node_that_cannot_start_a_worker_is_the_users_to_mend(search: Search, nodes: Nodes) -> None:
    with closing(nodes.engine(1)) as engine:
        said = refusal_of(engine.start(replace(search.job, folder="/dev/null/toy"), 0))
    assert said == (
        "a node of the Ray cluster cannot start a worker (NotADirectoryError: [Errno 20] Not a directory:"
        " '/dev/null/toy'); every node needs the packages of this machine and a folder that it can write"
    )


def test_a_worker_has_as_many_cores_as_it_has_threads(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    said: list[str] = []
    with closing(nodes.engine(1, say=said.append)) as engine:
        assert engine.threads == 2
    assert said == ["the Ray cluster has places for 0 of 1 workers, with 2 CPU cores each; the rest wait"]


def test_text_methods_hold_no_gpu(search: Search, nodes: Nodes) -> None:
    """As on one machine: only the last trial of a budget may be a text method's and hold one."""
    import ray

    node, search = nodes.add(cpus=2, gpus=1), search.with_methods(TEXTS)
    with closing(nodes.engine(1, methods=list(search.spec.methods))) as engine:
        assert (engine.gpus, [engine.takes(index) for index in range(engine.capacity(0, 0))]) == (
            1,
            ["texts", "encoders"],
        )
        assert run_workers(search.prepare(), replace(search.job, budget=8), engine) == Outcome("done")
        nodes.lose(node)
        until(lambda: "GPU" not in ray.cluster_resources())  # the next test's cluster has none
    found = [(record.config.method, record.worker["device"]) for record in search.records() if record.config]
    assert len(found) == 8
    assert set(found[:-1]) == {("tfidf", "cpu"), ("full", "auto")}


def test_where_all_methods_read_texts_alone_no_worker_holds_a_gpu(nodes: Nodes) -> None:
    with closing(nodes.engine(1, gpus_per_worker=0.5, methods=["tfidf"])) as engine:
        assert (engine.gpus, engine.capacity(0, 0), engine.takes(0)) == (0, 1, "all")


def test_a_cluster_that_is_not_there_is_the_users_to_name() -> None:
    if reason := missing():
        pytest.skip(reason)
    from peftsearch.workers.ray_engine import engine_of

    with pytest.raises(UserError) as caught:
        engine_of(Wanted(address="head"))
    assert str(caught.value) == "--address head: cannot join the Ray cluster (Invalid address format: head)"


def test_workers_without_a_place_are_told_of(nodes: Nodes) -> None:
    said: list[str] = []
    for workers, gpus in ((1, None), (2, None), (2, 0.5)):
        nodes.engine(workers, gpus_per_worker=gpus, say=said.append).close()
    assert said == [
        "the Ray cluster has places for 1 of 2 workers, with a CPU core each; the rest wait",
        "the Ray cluster has places for 0 of 2 workers, with a CPU core and 0.5 of a GPU each; the rest wait",
    ]


def test_a_cluster_of_several_machines_needs_a_database_that_all_reach(
    search: Search, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    machines = [{"NodeID": name, "Alive": True, "NodeManagerAddress": name} for name in ("alpha", "beta")]
    with closing(nodes.engine(1)) as engine:
        monkeypatch.setattr(ray, "nodes", lambda: machines)
        with pytest.raises(UserError) as caught:
            engine.start(search.job, 0)
    assert str(caught.value) == (
        "the Ray cluster has 2 machines, and SQLite is for one; name a database that all of them reach, as in --storage"
        " postgresql+psycopg://user@host/name"
    )


@pytest.mark.parametrize("wanted", [Wanted(gpus_per_worker=0.5), Wanted(address="auto")])
def test_what_only_a_cluster_has_is_not_asked_of_this_machine(wanted: Wanted) -> None:
    with pytest.raises(UserError) as caught:
        local_engine_of(wanted)
    assert str(caught.value) == (
        "--gpus-per-worker and --address are for --engine ray; here, --workers-per-device shares a GPU"
    )


def test_without_ray_its_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from peftsearch.workers.ray_engine import engine_of

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as caught:
        engine_of(Wanted())
    assert str(caught.value) == "--engine ray: Ray is not installed; pip install 'peftsearch[ray]'"
    with pytest.raises(UserError) as caught:
        engine_of(Wanted(per_device=2))
    assert str(caught.value) == (
        "--workers-per-device is for --engine local; here, --gpus-per-worker 0.5 puts two on each GPU"
    )
