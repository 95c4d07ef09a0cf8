"""What a study is told whose number format this machine is not made for."""

from __future__ import annotations

import pytest

from peftsearch.core.config import TrainingConfig, valid_field_values
from peftsearch.core.dimensions import Choice
from peftsearch.optimize.number_format import WITHOUT_GPU, format_notes


def test_it_is_said_on_a_cpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert format_notes("tf32") == [
        "training.precision: tf32 needs a GPU, and this machine shows none, so every trial computes in fp32"
    ]
    assert format_notes("fp16") == [
        "training.precision: fp16 is made for GPUs, and this machine shows none; auto takes what is fastest here"
    ]
    for precision in ("auto", "fp32", "bf16"):
        assert format_notes(precision) == []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert format_notes("tf32") == format_notes("fp16") == []


def test_the_formats_are_those_of_a_study() -> None:
    valid = valid_field_values(TrainingConfig)["precision"]
    assert isinstance(valid, Choice)
    assert WITHOUT_GPU.keys() < set(valid.options)
