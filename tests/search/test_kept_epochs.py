"""A search with real training, whose front holds an epoch of a trial that was stopped."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import Measurement
from peftsearch.search import execute
from peftsearch.search.pruning import Decision
from peftsearch.storage.database import open_study
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.storage.kept.predictions import read_predictions
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record, records
from peftsearch.training.checkpoint import Checkpoint
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model, tiny_tokenizer
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of
from tests.search.test_execute import front_of_points

DATA = toy_data(train=96, validation=48)
OBJECTIVES = ("macro_f1", "train_seconds")


def test_the_front_holds_an_epoch_of_a_stopped_trial_and_its_weights_are_that_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first trial hardly moves. The second one learns, and is stopped after its second epoch."""
    study = open_study(optuna.storages.InMemoryStorage(), "x", OBJECTIVES)
    folder, backbone = RunFolder(tmp_path / "x"), str(tiny_model(tmp_path / "bert"))

    def decide(rule: str, trial: Record, *_: object, **__: object) -> Decision | None:
        return Decision("why") if (trial.number, len(trial.curve)) == (1, 2) else None

    def train(config: TrialConfig, report: object, should_stop: object) -> object:
        return run_trial(config, DATA, report, cache=tmp_path, should_stop=should_stop)  # type: ignore[arg-type]

    monkeypatch.setattr(execute, "decide", decide)
    for rate in (1e-6, 1e-2):
        trial, training = study.ask(), TrainingConfig(epochs=3, batch_size=8, precision="fp32")
        config = TrialConfig(backbone, "full", settings_of("full", learning_rate=rate), training, max_length=24)
        execute.run(study, trial, config, train, "dominated", folder, lambda: False)  # type: ignore[arg-type]
    assert [record.state for record in records(study)] == ["complete", "pruned"]
    best = max(points_of(records(study), OBJECTIVES), key=lambda point: point.values["macro_f1"])
    assert str(best.point) in {"1@1", "1@2"} & front_of_points(study)
    assert {path.name for path in folder.weights.iterdir()} >= front_of_points(study)
    kept = folder.weights / str(best.point)
    assert checkpoint_problem(kept) is None
    about = json.loads((kept / "trial.json").read_text())
    measured = Measurement.from_dict(about["measurement"])
    assert measured.metrics["macro_f1"] == best.values["macro_f1"]
    assert measured.classes is not None
    assert best.measurement is not None
    assert measured.train_seconds == best.measurement.train_seconds == best.values["train_seconds"]
    said, config = read_predictions(folder.predictions(best.point)), TrialConfig.from_dict(about["config"])
    assert said is not None
    texts = tiny_tokenizer()(list(DATA.splits["validation"]["text"]), padding=True, return_tensors="pt")
    with torch.inference_mode():
        classifier = Checkpoint(1, kept, config, measured, DATA.labels).classifier()
        np.testing.assert_allclose(np.asarray(classifier(**texts).logits), said.logits, atol=2e-5)
    right = (said.predicted == np.asarray(DATA.splits["validation"]["label"])).mean()
    assert right == pytest.approx(measured.metrics["accuracy"])
