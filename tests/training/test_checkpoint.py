"""What a trial writes is what is read again: the model's outputs, its configuration and its measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.measurement import ClassReport
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS
from peftsearch.training.checkpoint import model_size_mb, read_checkpoint, save_classifier, save_text_model
from tests.helpers.records import measurement
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of, take_steps

LABELS = ("кошка", "chien 🐕", "red")
MEASURED = measurement(classes=ClassReport(LABELS, ((0, 1, 2), (2, 2, 7))))
IDS = torch.arange(5, 20).reshape(3, 5)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("backbone")))


@pytest.mark.parametrize(
    "method", ["full", "probe", "unfreezing", "lora", "vera", "prefix", "seq_bn", "loreft", "none"]
)
def test_an_encoders_checkpoint_is_read_as_it_was_written(backbone: str, tmp_path: Path, method: str) -> None:
    training = TrainingConfig(early_stopping=EarlyStopping(patience=2))
    config = TrialConfig(backbone, method, settings_of(method), training, evaluate=("evaluate:mape",))
    classifier = build_classifier(resolve(backbone), ENCODER_METHODS[method], config.settings, len(LABELS))
    take_steps(classifier, {"input_ids": IDS}, learning_rate=0.1)
    save_classifier(classifier, config, MEASURED, LABELS, tmp_path / "weights" / "7")
    header = 16_384  # bytes at most, of the names and shapes
    size = (tmp_path / "weights" / "7" / "trainable.safetensors").stat().st_size
    assert 0 <= size - model_size_mb(classifier, config) * 1024**2 < header

    kept = read_checkpoint(tmp_path / "weights", 7)
    assert (kept.number, kept.config, kept.measurement, kept.labels) == (7, config, MEASURED, LABELS)
    with torch.inference_mode():
        assert torch.equal(kept.classifier()(input_ids=IDS).logits, classifier.eval()(input_ids=IDS).logits)


def test_a_text_models_checkpoint_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = TrialConfig("", "tfidf", {"longest_term": 2, "minimum_texts": 1, "inverse_penalty": 10.0})
    texts = ["кошка спит", "un chien", "red and blue"]
    model = TEXT_METHODS["tfidf"].fit(texts * 2, np.arange(6) % 3, 3, config.settings)
    save_text_model(model, config, MEASURED, LABELS, tmp_path / "weights" / "7")

    kept = read_checkpoint(tmp_path / "weights", 7)
    assert (kept.number, kept.config, kept.measurement, kept.labels) == (7, config, MEASURED, LABELS)
    assert np.array_equal(TEXT_METHODS["tfidf"].read(kept.folder).scores(texts), model.scores(texts))


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"config": {}}', "\ufeff{}"])
def test_a_damaged_description_is_said_in_one_line(backbone: str, tmp_path: Path, damage: str) -> None:
    config = TrialConfig(backbone, "probe", settings_of("probe"))
    classifier = build_classifier(resolve(backbone), ENCODER_METHODS["probe"], config.settings, len(LABELS))
    save_classifier(classifier, config, MEASURED, LABELS, tmp_path / "7")
    (tmp_path / "7" / "trial.json").write_text(damage, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read_checkpoint(tmp_path, 7)
    assert str(caught.value) == (
        f"{tmp_path / '7' / 'trial.json'} is damaged, or of another version; train the trial again: "
        "peftsearch export --retrain"
    )
