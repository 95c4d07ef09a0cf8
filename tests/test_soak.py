"""What the soak's audit finds wrong in a search that is not as it should be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.soak import audit
from safetensors.numpy import save_file

from peftsearch.storage.records import Record
from tests.helpers.records import complete

BEST, CHEAP, WORSE = (
    replace(trial, curve=())  # so that only whole trials are points
    for trial in (
        complete(0, "full", 0.90, 22_000_000, 40.0, learning_rate=2e-5),
        complete(1, "lora", 0.88, 300_000, 20.0),
        complete(2, "lora", 0.60, 400_000, 21.0, learning_rate=1e-3),
    )
)
KILLED = Record(3, "failed", BEST.config, failure={"kind": "killed", "message": "its worker process was killed"})


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """As they should be: those of the two trials on the front."""
    for number in (BEST.number, CHEAP.number):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"weight": np.zeros(3)}, folder / "trainable.safetensors")
        (folder / "trial.json").write_text("{}")
    return tmp_path


def wrong(records: list[Record], weights: Path) -> dict[str, str]:
    assert BEST.config is not None
    return {what: said for what, said in audit(records, 3, [BEST.config.key()], {"": weights}).items() if said}


def test_a_sound_search_has_nothing_wrong(weights: Path) -> None:
    assert wrong([BEST, CHEAP, WORSE, KILLED], weights) == {}


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([BEST, CHEAP], {"exactly 3 trials are finished": "2 are"}),
        ([BEST, CHEAP, WORSE, Record(4, "running")], {"no trial is running or waiting": "1 running"}),
        (
            [BEST, CHEAP, WORSE, replace(KILLED, failure={"kind": "error"})],
            {"no trial failed but by a kill": "1 error"},
        ),
    ],
)
def test_trials_that_are_not_as_they_should_be(records: list[Record], found: dict[str, str], weights: Path) -> None:
    assert wrong(records, weights) == found


def test_a_configuration_that_was_trained_twice(weights: Path) -> None:
    twin = replace(WORSE, config=BEST.config)
    assert list(wrong([BEST, CHEAP, twin], weights)) == ["no configuration was trained twice"]


def test_a_baseline_that_was_lost(weights: Path) -> None:
    other = replace(BEST, config=complete(0, "probe", 0.9, 1, 1.0).config)
    assert wrong([other, CHEAP, WORSE], weights) == {"every baseline was trained": "1 of 1 were not"}


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (
            lambda folder: shutil.rmtree(folder / "0"),
            {"the front's weights are on the machine that its trials name": "0"},
        ),
        (
            lambda folder: (folder / "1" / "trainable.safetensors").write_text("{"),
            {"the front's weights are whole": "1"},
        ),
        (lambda folder: (folder / "2").mkdir(), {"no other weights are there": "2"}),
        (lambda folder: (folder / ".2-4711").mkdir(), {"no other weights are there": ".2-4711"}),
    ],
)
def test_weights_that_are_not_as_they_should_be(
    damage: Callable[[Path], None], found: dict[str, str], weights: Path
) -> None:
    damage(weights)
    assert wrong([BEST, CHEAP, WORSE], weights) == found


def test_an_epoch_on_the_front_has_weights_too(weights: Path) -> None:
    """The first epoch reached what the trial has at its end, for less."""
    whole = complete(0, "full", 0.90, 22_000_000, 40.0, learning_rate=2e-5)
    measured = replace(whole.curve[1], metrics={"macro_f1": 0.90}, trainable_parameters=22_000_000)
    assert BEST.config is not None
    found = audit([replace(whole, curve=(measured,))], 1, [BEST.config.key()], {"": weights})
    assert found["the front's weights are on the machine that its trials name"] == "0@1"


def test_weights_on_another_machine_than_the_trial_names(
    weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Each machine keeps the weights of its own trials; a trial says which machine that is."""
    records = [replace(BEST, worker={"host": "a/1"}), replace(CHEAP, worker={"host": "b/1"})]
    folders = {"a": weights, "b": tmp_path_factory.mktemp("b")}
    assert BEST.config is not None
    found = audit(records, 2, [BEST.config.key()], folders)
    assert found["the front's weights are on the machine that its trials name"] == "1"
    shutil.move(weights / "1", folders["b"] / "1")
    assert not any(audit(records, 2, [BEST.config.key()], folders).values())
