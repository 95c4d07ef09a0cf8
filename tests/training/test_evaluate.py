"""The test split is measured as validation is, and nothing of a trial depends on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.data.base import TextData
from peftsearch.data.splits import check_split
from peftsearch.training.evaluate import measure_split, predict_split, split_scores
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=96)
RATES = {"full": 3e-3, "unfreezing": 3e-3, "lora": 3e-2, "prefix": 3e-2, "seq_bn": 3e-2, "probe": 3e-2}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


def trained(backbone: str, method: str, data: TextData, cache: Path, precision: str = "fp32") -> Any:
    rate = {"learning_rate": RATES[method]} if method in RATES else {}
    training = TrainingConfig(epochs=3, batch_size=8, precision=precision, seed=7)
    config = TrialConfig(backbone, method, settings_of(method, **rate), training, max_length=24)
    return run_trial(config, data, lambda _: None, cache=cache, device="cpu")


def with_test_labels(labels: list[int]) -> TextData:
    rows = datasets.Dataset.from_dict({"text": list(DATA.splits["test"]["text"]), "label": labels})
    return replace(DATA, splits={**DATA.splits, "test": rows}, fingerprint=f"toy-{sum(labels[:7])}")


@pytest.mark.parametrize("method", [*RATES, "none", "tfidf"])
def test_on_validation_it_finds_what_the_trial_measured(backbone: str, tmp_path: Path, method: str) -> None:
    result = trained(backbone, method, DATA, tmp_path)
    again = measure_split(result, DATA, "validation", cache=tmp_path, device="cpu")
    assert again.metrics == pytest.approx(result.measurement.metrics)
    assert again.classes == result.measurement.classes
    assert np.array_equal(result.predictions.labels, DATA.splits["validation"]["label"])
    assert split_scores(result.predictions, "validation", DATA.labels).metrics == result.measurement.metrics


def test_it_computes_in_the_trial_s_precision(backbone: str, tmp_path: Path) -> None:
    result = trained(backbone, "full", DATA, tmp_path, precision="bf16")
    again = measure_split(result, DATA, "validation", cache=tmp_path, device="cpu")
    assert again.metrics == pytest.approx(result.measurement.metrics, rel=1e-6)


def test_the_metrics_are_scikit_learns_on_the_test_split(backbone: str, tmp_path: Path) -> None:
    result = trained(backbone, "lora", DATA, tmp_path)
    found = measure_split(result, DATA, "test", cache=tmp_path, device="cpu")
    said = predict_split(result, DATA, "test", cache=tmp_path, device="cpu")
    rows = DATA.splits["test"]
    with torch.no_grad():
        inputs = result.tokenizer(list(rows["text"]), padding=True, return_tensors="pt")
        predicted = result.classifier(**inputs).logits.argmax(-1).numpy()
    assert np.array_equal(said.predicted, predicted), "in the order of the split"
    assert found.metrics["macro_f1"] == pytest.approx(f1_score(rows["label"], predicted, average="macro"))
    assert found.metrics["accuracy"] == pytest.approx(accuracy_score(rows["label"], predicted))
    assert {name for name in found.metrics if name != "test_loss"} == {
        name for name in result.measurement.metrics if name != "validation_loss"
    }
    assert sum(count for _, _, count in found.classes.cells) == len(rows)
    assert found.classes.scores()[0].support == 16


@pytest.mark.parametrize("method", ["full", "frozen", "tfidf"])
def test_what_is_chosen_does_not_depend_on_the_test_labels(backbone: str, tmp_path: Path, method: str) -> None:
    """Two trials whose data differs only there: the same best epoch, weights and scores, but for those on test."""
    told = list(DATA.splits["test"]["label"])
    results, scores = [], []
    for labels in (told, [(label + 1) % 3 for label in told]):
        data = with_test_labels(labels)
        results.append(trained(backbone, method, data, tmp_path))
        scores.append(measure_split(results[-1], data, "test", cache=tmp_path, device="cpu").metrics["accuracy"])
    one, other = (result.measurement for result in results)
    assert (one.best_epoch, one.metrics, one.classes) == (other.best_epoch, other.metrics, other.classes)
    assert scores[0] != scores[1]
    if method == "tfidf":
        assert np.array_equal(results[0].model.weights, results[1].model.weights)
    else:
        pairs = zip(*(result.classifier.parameters() for result in results), strict=True)
        assert all(a.equal(b) for a, b in pairs)


def test_measuring_changes_no_weight(backbone: str, tmp_path: Path) -> None:
    result = trained(backbone, "full", DATA, tmp_path)
    before = [parameter.detach().clone() for parameter in result.classifier.parameters()]
    measure_split(result, DATA, "test", cache=tmp_path, device="cpu")
    assert all(a.equal(b) for a, b in zip(before, result.classifier.parameters(), strict=True))
    assert not result.classifier.training


def test_a_missing_split_and_missing_labels_are_refused() -> None:
    sealed = replace(DATA, splits={name: DATA.splits[name] for name in ("train", "validation")})
    with pytest.raises(UserError) as caught:
        check_split(sealed, "test")
    assert str(caught.value) == "the data has no test split; give it a file, or let data.splits cut one off"
    with pytest.raises(UserError) as caught:
        check_split(with_test_labels([-1] * 48), "test")
    assert str(caught.value) == (
        "48 rows of the test split have labels such as -1, which is none of the 3 classes of train; "
        "a test split without its labels cannot be measured"
    )
