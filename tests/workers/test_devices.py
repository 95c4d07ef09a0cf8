from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from peftsearch.workers import devices
from peftsearch.workers.devices import Usage, cores, gpus, share, usage


@pytest.mark.parametrize(
    ("visible", "expected"), [("0,1", ["0", "1"]), ("GPU-ab", ["GPU-ab"]), ("", []), ("-1", []), (" 2 , 3", ["2", "3"])]
)
def test_visible_devices_are_taken_as_they_are_named(visible: str, expected: list[str]) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": visible}) == expected


Says = Callable[[str], None]


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Puts a program of that name first in the path; it is given what that says, as a shell script."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def says(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return says


def test_gpus_are_counted_by_nvidia_smi(nvidia_smi: Says) -> None:
    nvidia_smi("echo 'GPU 0: H100 (UUID: x)'; echo '  MIG 1g'; echo 'GPU 1: H100 (UUID: y)'")
    assert gpus({}) == ["0", "1"]


def test_usage_is_told_by_nvidia_smi(nvidia_smi: Says, tmp_path: Path) -> None:
    nvidia_smi(f"echo \"$@\" > {tmp_path}/asked; echo '32, 1371, 81559'; echo '0, 4, 81559'")
    assert usage(["0", "GPU-ab"]) == [Usage(0.32, 1371, 81559), Usage(0.0, 4, 81559)]
    asked = "--query-gpu=utilization.gpu,memory.used,memory.total --format=csv,noheader,nounits -i 0,GPU-ab\n"
    assert (tmp_path / "asked").read_text() == asked


@pytest.mark.parametrize(
    "script", ["echo '[N/A], [N/A], [N/A]'", "echo 'No devices were found'; exit 6", "exit 9", "echo '3, 4'"]
)
def test_a_gpu_that_tells_nothing_has_no_usage(nvidia_smi: Says, script: str) -> None:
    nvidia_smi(script)
    assert usage(["0"]) == []


def test_without_nvidia_smi_there_are_no_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpus({}) == []
    assert usage(["0"]) == []


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
