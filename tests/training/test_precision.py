"""bf16 is taken where the device has it and is faster so; what was measured is kept."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from peftsearch.training import precision
from peftsearch.training.precision import bf16_speedup, choose_precision

CPU = torch.device("cpu")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[float]]:
    """A processor that has bf16; what measuring it gives, each time taken away."""
    left = [2.0]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: True)
    monkeypatch.setattr(precision, "bf16_speedup", lambda seconds: left.pop())
    precision._bf16_pays.cache_clear()
    yield left
    precision._bf16_pays.cache_clear()


@pytest.mark.parametrize(("speedup", "chosen"), [(2.0, "bf16"), (1.0, "fp32"), (0.5, "fp32")])
def test_only_what_is_faster_is_taken(measured: list[float], speedup: float, chosen: str) -> None:
    measured[:] = [speedup]
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("fp32", CPU) == "fp32"
    assert choose_precision("bf16", CPU) == "bf16"


def test_one_measurement_serves_the_machine(measured: list[float], tmp_path: Path) -> None:
    for _ in range(2):
        precision._bf16_pays.cache_clear()
        assert choose_precision("auto", CPU) == "bf16"
    assert not measured
    assert list(json.loads((tmp_path / "peftsearch" / "bf16.json").read_text()).values()) == [2.0]


@pytest.mark.parametrize("kept", ["", "[]", '{"another machine": 0.1}', '{"a": "b"}'])
def test_what_is_kept_of_another_machine_or_damaged_is_measured_anew(
    measured: list[float], tmp_path: Path, kept: str
) -> None:
    (tmp_path / "peftsearch").mkdir()
    (tmp_path / "peftsearch" / "bf16.json").write_text(kept)
    assert choose_precision("auto", CPU) == "bf16"
    assert not measured


def test_a_processor_without_it_is_not_measured(measured: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "_cpu_has_bf16", lambda: False)
    assert choose_precision("auto", CPU) == "fp32"
    assert measured == [2.0]


def test_the_measurement_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    assert bf16_speedup(0.0) > 0
    assert torch.get_num_threads() == before
