"""Trials that reuse their frozen prefix learn the same, and cost the same, as trials that compute it in every epoch."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.core.files.cache_folder import PREFIXES
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.data.base import TextData
from peftsearch.training.prefix_cache import state_rows
from peftsearch.training.prefix_cache import states as features
from peftsearch.training.prefix_cache.states import weights_fingerprint
from peftsearch.training.prefix_cache.store import PrefixStore
from peftsearch.training.trial import TrialResult, run_trial
from tests.helpers.tiny import ARCHITECTURES, tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=90)
NO_STORE = {"cache_size": 0}


@pytest.fixture(scope="module")
def backbones(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("backbones")
    return {name: str(tiny_model(folder / name, name, layers=3)) for name in ARCHITECTURES}


def config(backbone: str, method: str = "probe", precision: str = "fp32", **settings: Any) -> TrialConfig:
    return TrialConfig(
        backbone=backbone,
        method=method,
        settings=settings_of(method, **{"learning_rate": 3e-3, **settings}),
        training=TrainingConfig(epochs=3, batch_size=16, precision=precision),
        max_length=24,
    )


def run(
    trial: TrialConfig, cache: Path, data: TextData = DATA, **options: Any
) -> tuple[list[EpochReport], TrialResult]:
    reports: list[EpochReport] = []
    result = run_trial(trial, data, reports.append, cache=cache, device="cpu", **options)
    return reports, result


def made(cache: Path) -> int:
    return len(list((cache / PREFIXES).glob("[!.]*/about.json")))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One item for every pass through a prefix."""
    found: list[str] = []
    compute = features.compute_states

    def counted(*args: Any) -> Any:
        found.append("pass")
        return compute(*args)

    monkeypatch.setattr(features, "compute_states", counted)
    return found


CASES = [
    *(("bert", "probe", {"pooling": pooling, "head": "mlp"}) for pooling in ("cls", "mean", "max", "last")),
    ("bert", "frozen", {"frozen_layers": 1}),
    *((architecture, "frozen", {"frozen_layers": 2}) for architecture in ARCHITECTURES),
    *((architecture, "probe", {"head": "native"}) for architecture in ARCHITECTURES),
]


@pytest.mark.parametrize(("architecture", "method", "settings"), CASES)
def test_the_same_curve_as_without(
    backbones: dict[str, str], tmp_path: Path, architecture: str, method: str, settings: dict[str, Any]
) -> None:
    trial = config(backbones[architecture], method, **settings)
    expected, without = run(trial, tmp_path, **NO_STORE)
    assert made(tmp_path) == 0
    found, reusing = run(trial, tmp_path)
    assert made(tmp_path) == 2
    for report, other in zip(found, expected, strict=True):
        assert report.train_loss == pytest.approx(other.train_loss, abs=1e-5)
        assert report.validation_loss == pytest.approx(other.validation_loss, abs=1e-5)
        assert report.metrics == pytest.approx(other.metrics)
    assert list(reusing.classifier.state_dict()) == list(without.classifier.state_dict())
    assert reusing.classifier.prefix is None


def first_pass_wall_seconds(cache: Path) -> float:
    """What the pass over the training split took, which is the longer one."""
    made = [json.loads(about.read_text())["wall_seconds"] for about in (cache / PREFIXES).glob("*/about.json")]
    return float(max(made))


def test_a_later_trial_uses_what_an_earlier_one_computed(
    backbones: dict[str, str], tmp_path: Path, passes: list[str]
) -> None:
    first, one = run(config(backbones["bert"]), tmp_path)
    second, two = run(config(backbones["bert"], learning_rate=1e-2, head="mlp"), tmp_path)
    assert len(passes) == 2, "one pass over each split"
    assert two.measurement.prefix_seconds == one.measurement.prefix_seconds > 0
    assert second[0].train_seconds > two.measurement.prefix_seconds
    assert second[0].evaluation_seconds > first[0].evaluation_seconds - max(r.evaluation_seconds for r in first[1:])
    walls = [measured.wall_seconds or 0.0 for measured in (one.measurement, two.measurement)]
    assert one.measurement.actual_train_seconds == pytest.approx(walls[0])
    assert two.measurement.actual_train_seconds == pytest.approx(walls[1] - first_pass_wall_seconds(tmp_path))
    assert walls[1] == pytest.approx(sum(report.wall_seconds or 0.0 for report in second))


def test_the_whole_pass_is_charged_to_the_first_epoch_only(
    backbones: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get = PrefixStore.get

    def dear(*args: Any) -> Any:
        entry = get(*args)
        return entry and replace(entry, cost=features.Cost(1000.0, 5000.0, 3000.0))

    monkeypatch.setattr(PrefixStore, "get", dear)
    reports, result = run(config(backbones["bert"]), tmp_path)
    assert [report.train_seconds > 1000 for report in reports] == [True, False, False]
    assert [report.evaluation_seconds > 1000 for report in reports] == [True, False, False]
    assert 1000 < result.measurement.train_seconds < 1100
    assert result.measurement.prefix_seconds == 1000
    assert 3000 < (result.measurement.wall_seconds or 0.0) < 3100
    assert result.measurement.evaluation_samples_per_second == pytest.approx(48 / 1000, rel=0.1)
    assert result.measurement.peak_memory_mb == 5000


@pytest.mark.parametrize(
    "other",
    [
        {"pooling": "max"},
        {"method": "frozen", "frozen_layers": 1},
        {"method": "frozen", "frozen_layers": 2},
        {"precision": "bf16"},
        {"max_length": 5},
        {"backbone": "other"},
        {"data": "other"},
    ],
)
def test_states_of_another_place_length_backbone_or_text_are_not_used(
    backbones: dict[str, str], tmp_path: Path, passes: list[str], other: dict[str, Any]
) -> None:
    run(config(backbones["bert"], pooling="mean"), tmp_path)
    other = {"method": "probe", **other}
    data = toy_data(train=90, seed=1) if other.pop("data", None) else DATA
    length = other.pop("max_length", 24)
    backbone = backbones["bert"]
    if other.pop("backbone", None):
        backbone = str(tiny_model(tmp_path / "other", layers=3, seed=5))
    run(replace(config(backbone, **other), max_length=length), tmp_path, data)
    assert len(passes) == 4
    assert made(tmp_path) == 4


def test_a_backbone_that_was_changed_in_place_is_another(
    backbones: dict[str, str], tmp_path: Path, passes: list[str]
) -> None:
    from peftsearch.backbones import loading

    backbone = str(tiny_model(tmp_path / "model", layers=3))
    run(config(backbone), tmp_path)
    tiny_model(tmp_path / "model", layers=3, seed=5)
    loading._weights.cache_clear()
    run(config(backbone), tmp_path)
    assert len(passes) == 4


def test_a_single_changed_number_is_seen() -> None:
    module = torch.nn.Linear(3, 3)
    before = weights_fingerprint((module,))
    assert weights_fingerprint((module,)) == before
    with torch.no_grad():
        module.weight[1, 2] += 1e-6
    assert weights_fingerprint((module,)) != before


def test_a_damaged_entry_does_not_reach_a_trial(backbones: dict[str, str], tmp_path: Path) -> None:
    expected, _ = run(config(backbones["bert"], "frozen"), tmp_path)
    for states in (tmp_path / PREFIXES).glob("*/states.bin"):
        os.truncate(states, 100)
    found, _ = run(config(backbones["bert"], "frozen"), tmp_path)
    assert [report.validation_loss for report in found] == [report.validation_loss for report in expected]


def test_without_room_the_prefix_is_computed_in_every_epoch(backbones: dict[str, str], tmp_path: Path) -> None:
    expected, _ = run(config(backbones["bert"], "frozen"), tmp_path, **NO_STORE)
    found, result = run(config(backbones["bert"], "frozen"), tmp_path, cache_size=1000)
    assert made(tmp_path) == 0
    assert [report.validation_loss for report in found] == [report.validation_loss for report in expected]
    assert result.measurement.prefix_seconds == 0
    assert result.measurement.actual_train_seconds == result.measurement.wall_seconds


def test_room_for_one_split_only(backbones: dict[str, str], tmp_path: Path) -> None:
    expected, _ = run(config(backbones["bert"]), tmp_path, **NO_STORE)
    found, _ = run(config(backbones["bert"]), tmp_path, cache_size=4 * 32 * 48)
    assert made(tmp_path) == 1
    for report, other in zip(found, expected, strict=True):
        assert report.validation_loss == pytest.approx(other.validation_loss, abs=1e-5)


def test_states_are_kept_without_padding_and_in_half_as_many_bytes_in_bf16(
    backbones: dict[str, str], tmp_path: Path
) -> None:
    def sizes(cache: Path) -> set[int]:
        return {states.stat().st_size for states in (cache / PREFIXES).glob("*/states.bin")}

    tokens = {
        name: sum(len(text.split()) + 2 for text in DATA.splits[name]["text"]) for name in ("train", "validation")
    }
    run(config(backbones["bert"], "frozen"), tmp_path / "fp32")
    assert sizes(tmp_path / "fp32") == {count * 32 * 4 for count in tokens.values()}
    run(config(backbones["bert"], "frozen", precision="bf16"), tmp_path / "bf16")
    assert sizes(tmp_path / "bf16") == {count * 32 * 2 for count in tokens.values()}
    run(config(backbones["bert"]), tmp_path / "pooled")
    assert sizes(tmp_path / "pooled") == {90 * 32 * 4, 48 * 32 * 4}


@pytest.mark.parametrize("method", ["probe", "frozen"])
def test_in_bf16_it_learns_as_well(backbones: dict[str, str], tmp_path: Path, method: str) -> None:
    expected, _ = run(config(backbones["bert"], method, precision="bf16"), tmp_path, **NO_STORE)
    found, _ = run(config(backbones["bert"], method, precision="bf16"), tmp_path)
    for report, other in zip(found, expected, strict=True):
        assert report.validation_loss == pytest.approx(other.validation_loss, abs=0.02)


def test_a_tokenizer_that_pads_on_the_left_changes_nothing(tmp_path: Path) -> None:
    losses = []
    for side in ("right", "left"):
        folder = tiny_model(tmp_path / side, layers=3)
        about = json.loads((folder / "tokenizer_config.json").read_text())
        (folder / "tokenizer_config.json").write_text(json.dumps({**about, "padding_side": side}))
        losses.append([report.validation_loss for report in run(config(str(folder)), tmp_path / "cache")[0]])
    assert losses[0] == losses[1]


def test_stopping_ends_the_pass(backbones: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(Interrupted, match="stopped before the first step"):
        run(config(backbones["bert"]), tmp_path, should_stop=lambda: True)
    assert made(tmp_path) == 0


def test_a_file_cut_short_under_a_running_trial_is_an_error_not_a_crash(
    backbones: dict[str, str], tmp_path: Path
) -> None:
    def cut(_: EpochReport) -> None:
        for states in (tmp_path / PREFIXES).glob("*/states.bin"):
            os.truncate(states, 100)

    with pytest.raises(OSError, match="ends before row"):
        run_trial(config(backbones["bert"]), DATA, cut, cache=tmp_path, device="cpu")


def test_records_of_older_trials_still_read(backbones: dict[str, str], tmp_path: Path) -> None:
    old = run(config(backbones["bert"]), tmp_path)[1].measurement.to_dict()
    del old["prefix_seconds"], old["actual_train_seconds"], old["clock"], old["wall_seconds"]
    read = Measurement.from_dict(old)
    assert (read.prefix_seconds, read.actual_train_seconds, read.clock, read.wall_seconds) == (0.0, None, "wall", None)
    assert read.duration == read.train_seconds


def test_an_order_of_rows_that_is_sorted_gets_its_own_states(backbones: dict[str, str], tmp_path: Path) -> None:
    """Entries lie in the order of the data, whatever order a split is read in."""
    tokens = [[5, 6, 7], [8], [9, 10]]
    import datasets

    from peftsearch.training.rows import TokenRows

    split = datasets.Dataset.from_dict({"input_ids": tokens, "label": [0, 1, 2], "length": [3, 1, 2]})
    values = np.arange(6, dtype=np.float32).reshape(6, 1)
    (tmp_path / "states").write_bytes(values.tobytes())
    for sort in (False, True):
        rows = TokenRows(split, sort=sort)
        layout = state_rows.Layout(rows.starts, 1, np.dtype(np.float32), per_token=True)
        with FileIO(tmp_path / "states") as file:
            states = state_rows.StateRows(rows, file, layout)
            for i in range(3):
                columns, label = states[i]
                first = int(rows.starts[label])
                assert columns["states"].ravel().tolist() == list(range(first, first + len(tokens[label])))
                assert columns["input_ids"].tolist() == tokens[label]
