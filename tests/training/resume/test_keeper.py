"""A training that was interrupted goes on bit by bit as if it had not been: each method, and what can change a step."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from peftsearch.backbones import loading
from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.core.files.disk import DiskFull
from peftsearch.core.measurement import EpochReport
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training import attempt
from peftsearch.training.resume import keeper
from peftsearch.training.resume.state import TrainingState
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=41, validation=12)
EPOCHS, BATCH = 4, 8
DROPOUT = {"hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.2}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert"), **DROPOUT))


@pytest.fixture(scope="module", autouse=True)
def no_walks_of_the_collector() -> Iterator[None]:
    """Each training collects garbage twice, which takes most of these tests' time once many libraries are there."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is kept after every epoch, although these take less time than writing it."""
    monkeypatch.setattr(keeper, "SHARE", float("inf"))


def config_of(backbone: str, method: str, training: dict[str, Any] | None = None, **changes: Any) -> TrialConfig:
    chosen = {"epochs": EPOCHS, "batch_size": BATCH, "precision": "fp32", **(training or {})}
    settings = settings_of(method, **{"learning_rate": 1e-2, **changes})
    return TrialConfig(backbone, method, settings, TrainingConfig(**chosen), max_length=24)


class Interruption:
    """Takes the reports of a trial, and ends it in the epoch after the last one that it is to have."""

    def __init__(self, last: int) -> None:
        self.reports: list[EpochReport] = []
        self._last = last
        self._questions = 0

    def report(self, found: EpochReport) -> None:
        self.reports.append(found)

    def should_stop(self) -> bool:
        """Not at once: a step of the next epoch is made first."""
        self._questions += len(self.reports) == self._last
        return self._questions == 2


def train(
    config: TrialConfig, cache: Path, paused: Path | None = None, last: int = 99, data: Any = DATA, **how: Any
) -> Any:
    """What a trial gives: its reports, and its result, None if it was interrupted after epoch `last`."""
    until = Interruption(last)
    try:
        result = run_trial(
            config, data, until.report, cache=cache, device="cpu", paused=paused, should_stop=until.should_stop, **how
        )
    except Interrupted:
        return until.reports, None
    return until.reports, result


def learnt(report: EpochReport) -> EpochReport:
    """The report without its times."""
    return replace(report, train_seconds=0, evaluation_seconds=0, wall_seconds=0, evaluation_wall_seconds=0)


def check_resumed(config: TrialConfig, folder: Path, interrupted_after: tuple[int, ...] = (2,), **how: Any) -> Any:
    """Train `config` straight, and interrupted; both must give the same, bit by bit."""
    cache, paused = folder.parent / "cache", folder / "paused"
    whole, straight = train(config, cache, **how)
    before: list[EpochReport] = []
    for last in interrupted_after:
        reports, nothing = train(config, cache, paused, last, **how)
        assert nothing is None
        assert reports[: len(before)] == before, "earlier epochs are reported again as they were"
        before = reports
    again, resumed = train(config, cache, paused, **how)
    assert again[: len(before)] == before
    assert [learnt(report) for report in again] == [learnt(report) for report in whole]
    assert resumed.measurement.train_seconds == pytest.approx(sum(report.train_seconds for report in again), abs=1e-12)
    assert resumed.measurement.metrics == straight.measurement.metrics
    assert resumed.measurement.best_epoch == straight.measurement.best_epoch
    assert resumed.measurement.classes == straight.measurement.classes
    np.testing.assert_array_equal(resumed.predictions.logits, straight.predictions.logits)
    tensors = resumed.classifier.state_dict()
    for name, tensor in straight.classifier.state_dict().items():
        assert torch.equal(tensors[name], tensor), name
    return whole, again


@pytest.mark.parametrize("method", [name for name, method in ENCODER_METHODS.items() if method.takes_steps])
def test_every_method_goes_on_as_if_uninterrupted(backbone: str, tmp_path: Path, method: str) -> None:
    check_resumed(config_of(backbone, method), tmp_path)


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a cached prefix of states": ("frozen", {}, {"frozen_layers": 1}, {}),
    "no cached prefix": ("frozen", {}, {"frozen_layers": 1}, {"exact": True}),
    "no cached prefix under the head": ("probe", {}, {}, {"exact": True}),
    "weights of classes": ("lora", {"class_weights": "balanced", "focal_gamma": 1.0}, {"dropout": 0.3}, {}),
    "early stopping": ("full", {"early_stopping": EarlyStopping(2), "epochs": 9}, {"learning_rate": 1e-8}, {}),
    "bf16 along a cosine": ("full", {"precision": "bf16", "schedule": "cosine", "warmup": 0.6}, {}, {}),
    "a stage that begins later": ("unfreezing", {}, {"order": "from_end", "stages": 3}, {}),
    "ranks that are being allocated": (
        "adalora",
        {"batch_size": 4},
        {"rank": 2, "initial_ratio": 2.0},
        {},
    ),
    "an LSTM": ("p_tuning", {}, {"network": "lstm"}, {}),
    "a worse epoch than the best": ("full", {"schedule": "constant", "warmup": 0.0}, {"learning_rate": 2e-2}, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_it_goes_on_with(backbone: str, tmp_path: Path, case: str) -> None:
    method, training, settings, how = CASES[case]
    whole, _ = check_resumed(config_of(backbone, method, training, **settings), tmp_path, **how)
    assert case != "early stopping" or len(whole) == 3


def test_it_goes_on_with_a_batch_that_is_divided(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = attempt.train

    def fits_four_rows(model: Any, rows: Any, config: Any, compute: Any, *others: Any) -> Any:
        if compute.micro_batch > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(model, rows, config, compute, *others)

    monkeypatch.setattr(attempt, "train", fits_four_rows)
    check_resumed(config_of(backbone, "lora", dropout=0.3), tmp_path)


def test_it_may_be_interrupted_again_and_again(backbone: str, tmp_path: Path) -> None:
    check_resumed(config_of(backbone, "full"), tmp_path, interrupted_after=(1, 2, 3))


def test_what_the_frozen_prefix_cost_and_the_highest_memory_are_the_first_process_s(
    backbone: str, tmp_path: Path
) -> None:
    config = replace(config_of(backbone, "probe"), max_length=23)  # which no other test has put into the cache
    paused = tmp_path / "paused"
    train(config, tmp_path / "cache", paused, last=2)
    state = json.loads(header(paused)["about"])["spent"]
    assert state["prefix"]["train"]["now"] is True
    _, result = train(config, tmp_path / "cache", paused)
    measured = result.measurement
    assert measured.prefix_seconds == state["prefix"]["train"]["cost"]["seconds"] > 0
    assert measured.actual_train_seconds == measured.wall_seconds, "the second process read it, the trial computed it"
    assert measured.peak_memory_mb >= state["peak_memory_mb"] > 0


def header(paused: Path) -> dict[str, str]:
    with safe_open(paused, framework="pt") as file:
        return file.metadata()


def changed_byte(paused: Path) -> None:
    content = bytearray(paused.read_bytes())
    content[-9] ^= 1
    paused.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        changed_byte,
        lambda paused: paused.write_bytes(paused.read_bytes()[:-100]),
        lambda paused: paused.write_bytes(b""),
        lambda paused: paused.write_text("{}"),
        lambda paused: (paused.unlink(), paused.mkdir()),
    ],
)
def test_a_damaged_state_is_not_taken_up(backbone: str, tmp_path: Path, damage: Any) -> None:
    config, paused = config_of(backbone, "probe"), tmp_path / "paused"
    first, _ = train(config, tmp_path.parent / "cache", paused, last=1)
    damage(paused)
    again, _ = train(config, tmp_path.parent / "cache", paused, last=1)
    assert again[0].wall_seconds != first[0].wall_seconds, "the first epoch is trained anew"
    assert learnt(again[0]) == learnt(first[0])


def change_weights(backbone: str, seed: int) -> None:
    """Write other weights under the same name, as for a process that has not read them yet."""
    tiny_model(Path(backbone), seed=seed, **DROPOUT)
    loading._weights.cache_clear()


def test_a_state_of_another_training_is_not_taken_up(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another seed, other data, other weights under the same name, other packages, or `--exact`."""
    config, paused = config_of(backbone, "lora"), tmp_path / "paused"
    first, _ = train(config, tmp_path.parent / "cache", paused, last=1)
    assert train(config, tmp_path.parent / "cache", paused, last=1)[0] == first, "as long as nothing differs"
    kept = paused.read_bytes()

    def check_anew(config: TrialConfig, **how: Any) -> None:
        paused.write_bytes(kept)
        assert train(config, tmp_path.parent / "cache", paused, last=1, **how)[0] != first

    check_anew(replace(config, training=replace(config.training, seed=7)))
    check_anew(config, exact=True)
    check_anew(config, last_epoch=3)
    with monkeypatch.context() as patch:
        patch.setattr(attempt, "installed_versions", lambda: {"torch": "another"})
        check_anew(config)
    check_anew(config, data=replace(DATA, fingerprint="other"))
    try:
        change_weights(backbone, 1)
        check_anew(config)
    finally:
        change_weights(backbone, 0)


def test_a_state_is_written_only_where_it_takes_a_small_share_of_the_time(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)

    def write(state: TrainingState, file: Path) -> None:
        written.append(len(state.about["reports"]))
        clock.now += 2.0

    def report(_: EpochReport) -> None:
        clock.now += 50.0

    for name, value in {"write_state": write, "time": clock, "SHARE": 0.05, "SECONDS_PER_BYTE": 1.0}.items():
        monkeypatch.setattr(keeper, name, value)
    monkeypatch.setattr(TrainingState, "size", 6)
    config = config_of(backbone, "probe", {"epochs": 6})
    run_trial(config, DATA, report, cache=tmp_path.parent / "cache", device="cpu", paused=tmp_path / "paused")
    assert written == [3, 4, 5], "taken for 6 s it waits for 120 s, then it proves to take 2 s; the end leaves no state"


def test_a_full_disk_costs_the_state_and_not_the_trial(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def full(state: Any, file: Path) -> None:
        raise DiskFull(file.parent)

    monkeypatch.setattr(keeper, "write_state", full)
    reports, result = train(config_of(backbone, "probe"), tmp_path.parent / "cache", tmp_path / "paused")
    assert (len(reports), result.measurement.epochs) == (EPOCHS, EPOCHS)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"the trial's state is not kept: the disk of {tmp_path} is full")


def test_keeping_the_state_changes_nothing(backbone: str, tmp_path: Path) -> None:
    config = config_of(backbone, "full", {"epochs": 2})
    without, _ = train(config, tmp_path.parent / "cache")
    kept, _ = train(config, tmp_path.parent / "cache", tmp_path / "paused")
    assert [learnt(report) for report in without] == [learnt(report) for report in kept]
    assert (tmp_path / "paused").is_file()
