"""One run on a real, tiny model: the test split stays shut until the best epoch is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftsearch.confirm.once import run_once
from peftsearch.confirm.plan import reseeded
from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.errors import Interrupted, TrialFailure
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.data.base import TextData
from peftsearch.training import evaluate as evaluate_module
from peftsearch.training import trial as trial_module
from tests.helpers.confirming import DATA
from tests.helpers.records import config
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of


def test_training_does_not_get_the_test_split(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[TextData] = []

    def run_trial(config: TrialConfig, data: TextData, *_: Any, **__: Any) -> Any:
        given.append(data)
        raise TrialFailure("not_finite", "far enough")

    monkeypatch.setattr(trial_module, "run_trial", run_trial)
    with pytest.raises(TrialFailure):
        run_once(config("full"), DATA, tmp_path)
    assert list(given[0].splits) == ["train", "validation"]


@pytest.mark.parametrize("method", ["probe", "tfidf", "none"])
def test_the_same_seed_reproduces(tmp_path: Path, method: str) -> None:
    backbone = str(tiny_model(tmp_path / "bert"))
    training = TrainingConfig(epochs=2, batch_size=16, precision="fp32")
    original = TrialConfig(backbone, method, settings_of(method), training, max_length=24)
    [config] = reseeded(original, 1)
    assert (config.training.seed, replace(config, training=original.training)) == (43, original)
    one, other = (run_once(config, DATA, tmp_path / "cache") for _ in range(2))
    assert one.test == other.test
    assert np.array_equal(one.test_predictions.logits, other.test_predictions.logits)
    assert one.predictions is not None
    assert (one.measurement.clock, one.measurement.duration) == ("processor", one.measurement.wall_seconds)
    assert (one.measurement.seed, len(one.predictions.labels), len(one.test_predictions.labels)) == (43, 24, 24)
    if method != "tfidf":
        elsewhere = run_once(original, DATA, tmp_path / "cache")
        assert elsewhere.test.metrics["test_loss"] != one.test.metrics["test_loss"]


def test_it_can_be_stopped_while_the_test_split_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is interrupted at once even if a large test split is all that is left of it."""
    training = TrainingConfig(epochs=1, batch_size=16, precision="fp32")
    backbone = str(tiny_model(tmp_path / "bert"))
    asked: list[str] = []
    real = evaluate_module.predict_split

    def predict_split(*arguments: Any, **named: Any) -> Any:
        asked.append("test")
        return real(*arguments, **named)

    monkeypatch.setattr(evaluate_module, "predict_split", predict_split)
    reports: list[EpochReport] = []
    with pytest.raises(Interrupted, match="stopped while another split was measured"):
        run_once(
            TrialConfig(backbone, "probe", settings_of("probe"), training, max_length=24), DATA, tmp_path / "cache",
            report=reports.append, should_stop=lambda: bool(asked),
        )  # fmt: skip
    assert len(reports) == 1


def measuring(found: list[Measurement]) -> Callable[[EpochReport], None]:
    """Reads what each epoch measured, as the worker's reporter does, also before the epoch that is to be kept."""

    def report(epoch: EpochReport) -> None:
        assert epoch.trained is not None
        found.append(epoch.trained.measurement)

    return report


def test_an_epoch_is_confirmed_in_the_search_s_own_seed_with_just_what_the_search_had(tmp_path: Path) -> None:
    """Trained as far as that epoch under the schedule of all, without choosing a best one."""
    training = TrainingConfig(epochs=4, batch_size=16, precision="fp32", early_stopping=EarlyStopping(1))
    config = TrialConfig(str(tiny_model(tmp_path / "bert")), "lora", settings_of("lora"), training, max_length=24)
    curve: list[EpochReport] = []
    whole = trial_module.run_trial(config, DATA, curve.append, cache=tmp_path / "cache")
    assert whole.measurement.epochs == len(curve) > 1
    for report in curve:
        measured: list[Measurement] = []
        found = run_once(config, DATA, tmp_path / "cache", last_epoch=report.epoch, report=measuring(measured))
        assert [each.metrics["macro_f1"] for each in measured] == [r.metrics["macro_f1"] for r in curve[: report.epoch]]
        assert found.measurement.metrics == {**report.metrics, "validation_loss": report.validation_loss}
        assert (found.measurement.epochs, found.measurement.best_epoch) == (report.epoch, report.epoch)
    best = run_once(config, DATA, tmp_path / "cache", last_epoch=whole.measurement.best_epoch)
    assert best.test == run_once(config, DATA, tmp_path / "cache").test, "the whole trial's weights are these"
