"""What a worker process is started with; what all engines have in common is in test_engine."""

from __future__ import annotations

import pytest

from peftsearch.workers.local import chosen_threads, worker_environment


@pytest.mark.parametrize(("index", "gpu"), [(0, "1"), (1, "GPU-ab"), (2, "1")])
def test_gpus_are_dealt_out_as_the_user_numbers_them(monkeypatch: pytest.MonkeyPatch, index: int, gpu: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,GPU-ab")
    monkeypatch.delenv("CUDA_DEVICE_ORDER", raising=False)
    variables = worker_environment(2, index)
    assert variables["CUDA_VISIBLE_DEVICES"] == gpu
    assert "CUDA_DEVICE_ORDER" not in variables


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
