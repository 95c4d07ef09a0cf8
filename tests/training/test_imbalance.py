"""A rare class: what the remedies do to a real trial, and what the trial tells about it."""

from __future__ import annotations

import random
from pathlib import Path
from types import MappingProxyType
from typing import Any

import datasets
import pytest
from sklearn.metrics import f1_score

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.data.base import TextData
from peftsearch.methods.table import METHODS
from peftsearch.study.starting_points.baselines import default_settings
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import WORDS, tiny_model

LABELS = ("cat", "dog", "red")
FILLERS = tuple(word for word in WORDS if word not in LABELS)


def imbalanced(
    train: tuple[int, int, int] = (150, 80, 10), validation: tuple[int, int, int] = (30, 30, 30)
) -> TextData:
    """The class is the key word in the text."""
    rng = random.Random(0)
    splits = {name: _rows(rng, sizes) for name, sizes in (("train", train), ("validation", validation))}
    fingerprint = f"imbalanced-{train}-{validation}"
    return TextData(LABELS, MappingProxyType({**splits, "test": splits["validation"]}), fingerprint)


def _rows(rng: random.Random, sizes: tuple[int, int, int]) -> datasets.Dataset:
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    texts = [_text(rng, LABELS[label]) for label in labels]
    return datasets.Dataset.from_dict({"text": texts, "label": labels})


def _text(rng: random.Random, key: str) -> str:
    words = [key, *rng.choices(FILLERS, k=7)]
    rng.shuffle(words)
    return " ".join(words)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


def measured(
    backbone: str, data: TextData, cache: Path, reports: list[EpochReport] | None = None, **training: Any
) -> Measurement:
    method = METHODS["full"]
    settings = default_settings(method, {key: h.default for key, h in method.hyperparameters.items()})
    config = TrialConfig(
        backbone=backbone,
        method="full",
        settings={**settings, "learning_rate": 4e-3},
        training=TrainingConfig(**{"epochs": 5, "batch_size": 16, "precision": "fp32", **training}),
        max_length=16,
    )
    heard: list[EpochReport] = [] if reports is None else reports
    return run_trial(config, data, heard.append, cache=cache, device="cpu").measurement


def recall(measurement: Measurement, label: str) -> float:
    assert measurement.classes is not None
    return {score.label: score.recall for score in measurement.classes.scores()}[label]


def test_class_weights_find_the_rare_class(backbone: str, tmp_path: Path) -> None:
    data = imbalanced()
    plain = measured(backbone, data, tmp_path)
    balanced = measured(backbone, data, tmp_path, class_weights="balanced")
    assert recall(balanced, "red") > recall(plain, "red") + 0.2
    assert balanced.metrics["macro_f1"] > plain.metrics["macro_f1"]


def test_a_focal_loss_trains_and_the_validation_loss_stays_plain(backbone: str, tmp_path: Path) -> None:
    data = imbalanced()
    plain, focal = [], []
    measured(backbone, data, tmp_path, plain, epochs=3)
    measurement = measured(backbone, data, tmp_path, focal, epochs=3, focal_gamma=2.0)
    assert focal[0].train_loss < 0.6 * plain[0].train_loss
    assert focal[0].validation_loss > 0.8 * plain[0].validation_loss
    assert measurement.metrics["macro_f1"] > 0.4


def test_the_class_report_is_of_the_best_epoch(backbone: str, tmp_path: Path) -> None:
    measurement = measured(backbone, imbalanced(), tmp_path, class_weights="balanced")
    report = measurement.classes
    assert report is not None
    true = [t for t, _, rows in report.cells for _ in range(rows)]
    predicted = [p for _, p, rows in report.cells for _ in range(rows)]
    assert measurement.metrics["macro_f1"] == pytest.approx(f1_score(true, predicted, labels=range(3), average="macro"))
    assert report.labels == LABELS
    assert [score.support for score in report.scores()] == [30, 30, 30]


def test_a_class_that_the_validation_split_lacks_stays_a_class(backbone: str, tmp_path: Path) -> None:
    measurement = measured(backbone, imbalanced(validation=(20, 20, 0)), tmp_path, epochs=1)
    assert measurement.classes is not None
    assert [score.support for score in measurement.classes.scores()] == [20, 20, 0]
    assert measurement.metrics["macro_recall"] <= 2 / 3
    assert measurement.metrics["macro_recall"] == pytest.approx(measurement.metrics["balanced_accuracy"] * 2 / 3)
