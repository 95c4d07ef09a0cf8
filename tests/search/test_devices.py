from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.search import devices
from peftsearch.search.devices import cores, gpus, share


@pytest.mark.parametrize(
    ("visible", "expected"), [("0,1", ["0", "1"]), ("GPU-ab", ["GPU-ab"]), ("", []), ("-1", []), (" 2 , 3", ["2", "3"])]
)
def test_visible_devices_are_taken_as_they_are_named(visible: str, expected: list[str]) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_gpus_are_counted_by_nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'GPU 0: H100 (UUID: x)'\necho '  MIG 1g'\necho 'GPU 1: H100 (UUID: y)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert gpus({}) == ["0", "1"]


def test_without_nvidia_smi_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus({}) == []


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_shares_are_disjoint_and_leave_nothing_out(workers: int) -> None:
    parts = [share(list(range(5)), workers, index) for index in range(workers)]
    assert sorted(core for part in parts for core in part) == list(range(5))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_more_workers_than_cores_share_them() -> None:
    assert [share([4, 5], 3, index) for index in range(3)] == [[4], [5], [4]]


def test_this_process_has_a_core() -> None:
    assert cores()


@pytest.mark.parametrize(("gpus", "per_device", "workers"), [([], 1, 1), ([], 3, 3), (["0", "1"], 1, 2), (["4"], 2, 2)])
def test_workers_by_default(monkeypatch: pytest.MonkeyPatch, gpus: list[str], per_device: int, workers: int) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: gpus)
    assert devices.default_workers(per_device) == workers
