"""The classifier that each epoch's report carries: it can be saved, and training does not notice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.training.checkpoint import Checkpoint
from peftsearch.training.trial import TrialResult, run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=48, validation=24)
METHODS = ("full", "adalora", "vera", "unfreezing", "probe")
"""All tensors, ranks that shrink, random tensors that no step moves, stages, and a cached prefix."""


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


def config(backbone: str, method: str) -> TrialConfig:
    training = TrainingConfig(epochs=3, batch_size=16, precision="fp32")
    return TrialConfig(backbone, method, settings_of(method, learning_rate=3e-3), training, max_length=24)


def logits(classifier: torch.nn.Module, result: TrialResult) -> np.ndarray:
    rows = result.tokenizer(list(DATA.splits["validation"]["text"]), padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return np.asarray(classifier(**rows).logits)


def losses(reports: list[EpochReport]) -> list[tuple[float, float]]:
    return [(report.train_loss, report.validation_loss) for report in reports]


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_of_an_epoch_predict_what_it_said(backbone: str, tmp_path: Path, method: str) -> None:
    asked, reports = config(backbone, method), list[EpochReport]()
    said: list[tuple[Measurement, Predictions]] = []

    def save(report: EpochReport) -> None:
        reports.append(report)
        assert report.trained is not None
        assert report.trained.predictions is not None
        report.trained.save(tmp_path / str(report.epoch))
        said.append((report.trained.measurement, report.trained.predictions))

    result = run_trial(asked, DATA, save, cache=tmp_path / "tokens")
    assert isinstance(result, TrialResult)
    if method == "full":
        plain: list[EpochReport] = []
        run_trial(asked, DATA, plain.append, cache=tmp_path / "tokens")
        assert losses(reports) == losses(plain), "saving changes nothing"
    for report, (measured, predictions) in zip(reports, said, strict=True):
        kept = Checkpoint(0, tmp_path / str(report.epoch), asked, measured, DATA.labels)
        np.testing.assert_allclose(logits(kept.classifier(), result), predictions.logits, atol=2e-5)
        assert measured.metrics["macro_f1"] == report.metrics["macro_f1"]
        assert (measured.epochs, measured.best_epoch) == (report.epoch, report.epoch)
    assert not np.allclose(said[0][1].logits, said[1][1].logits, atol=1e-4), "the epochs differ"


def test_the_last_epoch_measures_what_the_trial_does(backbone: str, tmp_path: Path) -> None:
    found: list[Measurement] = []

    def report(epoch: EpochReport) -> None:
        assert epoch.trained is not None
        found.append(epoch.trained.measurement)

    whole = run_trial(config(backbone, "unfreezing"), DATA, report, cache=tmp_path).measurement
    last = found[-1]
    same = {"best_epoch": 3, "metrics": last.metrics, "classes": last.classes, "peak_memory_mb": last.peak_memory_mb}
    assert replace(whole, **same) == last
    assert found[0].model_size_mb == whole.model_size_mb
    assert found[0].trainable_parameters < whole.trainable_parameters
