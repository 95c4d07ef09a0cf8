from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace

import pynvml
import pytest

from peftsearch.workers import devices
from peftsearch.workers.devices import GpuUsage, cores, gpu_usage, gpus, share


@pytest.mark.parametrize(
    ("visible", "expected"), [("0,1", ["0", "1"]), ("GPU-ab", ["GPU-ab"]), ("", []), ("-1", []), (" 2 , 3", ["2", "3"])]
)
def test_visible_devices_are_taken_as_they_are_named(visible: str, expected: list[str]) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": visible}) == expected


GIB = 2**30


@dataclass
class Nvml:
    """A driver with GPUs, behind the functions of `pynvml`.

    Attributes:
        devices: UUID → utilisation in percent, used bytes, total bytes; in PCI order.
        silent: UUIDs of which the driver does not tell the utilisation.
        open: how often it was initialised and not shut down again.
    """

    devices: dict[str, tuple[int, int, int]]
    silent: tuple[str, ...] = ()
    open: int = 0

    def init(self) -> None:
        self.open += 1

    def shutdown(self) -> None:
        self.open -= 1

    def by_index(self, index: int) -> str:
        return self.by_uuid(dict(enumerate(self.devices)).get(index, "none"))

    def by_uuid(self, uuid: str) -> str:
        assert self.open
        if uuid not in self.devices:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
        return uuid

    def utilisation(self, handle: str) -> SimpleNamespace:
        if handle in self.silent:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=self.devices[handle][0], memory=99)

    def memory(self, handle: str) -> SimpleNamespace:
        _, used, total = self.devices[handle]
        return SimpleNamespace(used=used, total=total, free=total - used)


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nvml]:
    driver = Nvml({"GPU-ab": (32, 1 * GIB, 80 * GIB), "GPU-cd": (0, 0, 40 * GIB)})
    monkeypatch.setattr(pynvml, "nvmlInit", driver.init)
    monkeypatch.setattr(pynvml, "nvmlShutdown", driver.shutdown)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: len(driver.devices))
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", driver.by_index)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByUUID", driver.by_uuid)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetUtilizationRates", driver.utilisation)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetMemoryInfo", driver.memory)
    yield driver
    assert not driver.open


def test_without_visible_devices_the_driver_counts_the_gpus(nvml: Nvml) -> None:
    assert gpus({}) == ["0", "1"]


@pytest.mark.parametrize("names", [["0", "1"], ["GPU-ab", "GPU-cd"], ["0", "GPU-cd"]])
def test_gpus_are_asked_by_index_and_by_uuid(nvml: Nvml, names: list[str]) -> None:
    assert gpu_usage(names) == [GpuUsage(0.32, 1 * GIB, 80 * GIB), GpuUsage(0.0, 0, 40 * GIB)]


@pytest.mark.parametrize("names", [["0", "MIG-ef"], ["0", "2"], ["GPU-xy"]])
def test_if_one_gpu_is_not_told_of_none_is(nvml: Nvml, names: list[str]) -> None:
    nvml.devices["MIG-ef"] = (0, 0, 10 * GIB)
    del nvml.devices["GPU-cd"]
    nvml.silent = ("MIG-ef",)
    assert gpu_usage(names) == []


def test_without_a_driver_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", missing)
    assert gpus({}) == []
    assert gpu_usage(["0"]) == []


def test_the_real_functions_take_what_they_are_given() -> None:
    """Without a GPU there is no driver; with one, its usage is told unless it is parted into MIG instances."""
    found = gpu_usage(gpus({}))
    assert len(found) in (0, len(gpus({})))
    assert all(0 <= usage.utilisation <= 1 and 0 < usage.used_memory < usage.total_memory for usage in found)
    assert gpu_usage(["GPU-ab"]) == []


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
