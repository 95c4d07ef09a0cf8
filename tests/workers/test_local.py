"""What a worker process is started with; what all engines have in common is in test_engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from peftsearch.workers import devices, local
from peftsearch.workers.engine import Ended
from peftsearch.workers.local import LocalWorker, chosen_threads, local_engine, worker_environment
from tests.helpers.search import until


@pytest.mark.parametrize(("index", "gpu"), [(0, "1"), (1, "GPU-ab"), (2, "1")])
def test_gpus_are_dealt_out_as_the_user_numbers_them(monkeypatch: pytest.MonkeyPatch, index: int, gpu: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-ab")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    variables = worker_environment(2, index)
    assert variables["CUDA_VISIBLE_DEVICES"] == gpu
    assert "CUDA_DEVICE_ORDER" not in variables


def test_a_worker_of_text_methods_sees_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-ab")
    assert worker_environment(1, None)["CUDA_VISIBLE_DEVICES"] == ""


BOTH = ["tfidf", "lora"]


@pytest.mark.parametrize(
    ("gpus", "settings", "capacity", "takes", "without_gpu"),
    [
        ("0,1", {"methods": BOTH}, 3, ["texts", "encoders", "encoders"], "texts"),
        ("0,1", {"methods": BOTH, "per_device": 2}, 5, ["texts", *["encoders"] * 4], "texts"),
        ("0,1", {"methods": BOTH, "workers": 2}, 3, ["texts", "encoders", "encoders"], "texts"),
        ("0,1", {"methods": ["none", "lora"]}, 2, ["all", "all"], "nothing"),
        ("0,1", {"methods": ["tfidf"]}, 1, ["all"], "everything"),
        ("0,1", {"methods": ["tfidf"], "workers": 3}, 3, ["all"] * 3, "everything"),
        ("0,1", {}, 2, ["all", "all"], "nothing"),
        ("", {"methods": BOTH}, 1, ["all"], "nothing"),
        ("", {"methods": ["tfidf"], "per_device": 2}, 2, ["all", "all"], "nothing"),
    ],
)
def test_text_methods_have_a_worker_beside_those_of_the_gpus(
    monkeypatch: pytest.MonkeyPatch, gpus: str, settings: dict[str, Any], capacity: int, takes: list[str],
    without_gpu: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
    monkeypatch.setattr(devices, "gpu_usage", lambda names: [])
    engine = local_engine(**settings)
    assert engine.capacity(holding=0, training=0) == capacity
    assert [engine.takes(index) for index in range(capacity)] == takes
    assert engine.without_gpu == without_gpu


def test_gpus_that_we_counted_are_numbered_as_they_were_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("peftsearch.workers.devices.gpus", lambda: ["0", "1"])
    variables = worker_environment(2, 1)
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")


@pytest.mark.parametrize(("chosen", "threads"), [("64", 64), ("4,2", 4), ("", None), ("0", None), ("many", None)])
def test_the_user_chooses_the_threads(monkeypatch: pytest.MonkeyPatch, chosen: str, threads: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", chosen)
    assert chosen_threads() == threads


def test_threads_of_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    variables = worker_environment(3, 0)
    assert (variables["OMP_NUM_THREADS"], variables["MKL_NUM_THREADS"]) == ("3", "3")
    monkeypatch.setenv("MKL_NUM_THREADS", "2")
    assert worker_environment(3, 0)["MKL_NUM_THREADS"] == "2"


def test_threads_of_a_worker_wait_without_spinning(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of a trial is processor time, of which a thread that spins spends as much as one that computes."""
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert worker_environment(3, 0)["OMP_WAIT_POLICY"] == "PASSIVE"
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert worker_environment(3, 0)["OMP_WAIT_POLICY"] == "ACTIVE", "as the user has chosen"


PARENT_OF_A_SLEEPER = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
print(child.pid, flush=True)
sys.stdin.readline()
"""
"""A worker whose own child, as of a data loader, inherits its pipes."""


def worker_with_a_child(folder: Path) -> tuple[LocalWorker, psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT_OF_A_SLEEPER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    child = psutil.Process(int(process.stdout.readline()))
    log = folder / "log"
    log.touch()
    return LocalWorker(0, process, log), child


def test_a_workers_own_children_die_with_it(tmp_path: Path) -> None:
    worker, child = worker_with_a_child(tmp_path)
    worker.kill()
    assert psutil.wait_procs([child], timeout=10)[1] == []
    assert worker.poll() == Ended(None, "signal SIGKILL", str(tmp_path / "log"), "nothing")


def test_a_worker_that_dies_alone_is_noticed_though_its_child_holds_its_pipes(tmp_path: Path) -> None:
    """As the kernel kills the largest process when memory is short."""
    worker, child = worker_with_a_child(tmp_path)
    worker.process.kill()
    until(lambda: worker.poll() is not None)
    assert psutil.wait_procs([child], timeout=10)[1] == []


def test_a_worker_that_the_kernel_holds_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits for a disk that does not answer, say: SIGKILL takes effect when the disk does."""
    worker, child = worker_with_a_child(tmp_path)
    monkeypatch.setattr(local, "KILL_SECONDS", 0.0)
    with monkeypatch.context() as held:
        held.setattr(local.os, "killpg", lambda *_: None)
        worker.kill()
    ended = worker.poll()
    assert ended is not None
    assert (ended.report, ended.how) == (None, "signal SIGKILL, which the kernel still holds back")
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.communicate()
    psutil.wait_procs([child], timeout=10)
