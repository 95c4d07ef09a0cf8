"""Pseudo-values against scikit-learn, against a jackknife done row by row, and against the spread of fresh splits."""

from __future__ import annotations

import time

import numpy as np
import pytest

from peftsearch.confirm import jackknife
from peftsearch.confirm.jackknife import COUNTED, pseudo_values
from peftsearch.core.objectives import OBJECTIVES, is_metric
from peftsearch.training.metrics.classification import classification_metrics

Labelled = tuple[np.ndarray, np.ndarray, int]


def labelled(rows: int, classes: int, right: float = 0.8, seed: int = 0) -> Labelled:
    """Predicted and true classes of which the last one is rare, and the number of classes."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(classes, size=rows, p=np.arange(classes, 0, -1) / (classes * (classes + 1) / 2))
    predicted = np.where(rng.random(rows) < right, labels, rng.integers(0, classes, rows))
    return predicted, labels, classes


def metrics(predicted: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, float]:
    found = classification_metrics(np.eye(classes)[predicted], labels)
    return {name: value for name, value in found.items() if name not in OF_PROBABILITIES}


OF_PROBABILITIES = {"expected_calibration_error"}
"""Metrics that are no functions of classes."""


def known(classes: int) -> list[str]:
    return list(metrics(np.arange(classes), np.arange(classes), classes))


def test_every_metric_of_classes_in_the_table_is_counted() -> None:
    assert {*known(2), *known(3)} == {name for name in OBJECTIVES if is_metric(name)} - OF_PROBABILITIES
    assert set(COUNTED) == {*known(2), *known(3)}


@pytest.mark.parametrize("classes", [2, 3, 9])
@pytest.mark.parametrize("rows", [1, 7, 200])
def test_the_mean_is_the_metric_of_scikit_learn(classes: int, rows: int) -> None:
    predicted, labels, _ = labelled(rows, classes)
    for name, value in metrics(predicted, labels, classes).items():
        found = pseudo_values(name, predicted, labels, classes)
        assert found.shape == (rows,)
        assert found.mean() == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("classes", [2, 9])
def test_each_pseudo_value_is_what_leaving_out_its_row_changes(classes: int) -> None:
    rows = 20
    predicted, labels, _ = labelled(rows, classes, right=0.6)
    without = [metrics(np.delete(predicted, row), np.delete(labels, row), classes) for row in range(rows)]
    for name, value in metrics(predicted, labels, classes).items():
        by_hand = rows * value - (rows - 1) * np.array([one[name] for one in without])
        found = pseudo_values(name, predicted, labels, classes)
        assert found - found.mean() == pytest.approx(by_hand - by_hand.mean(), abs=1e-9), name


def test_pseudo_values_of_accuracy_are_right_and_wrong() -> None:
    predicted, labels, classes = labelled(50, 3)
    assert pseudo_values("accuracy", predicted, labels, classes) == pytest.approx((predicted == labels).astype(float))


def test_their_spread_is_that_of_the_metric_over_other_rows() -> None:
    values = [pseudo_values("macro_f1", *labelled(800, 6, seed=seed)) for seed in range(400)]
    errors = [found.std(ddof=1) / 800**0.5 for found in values]
    assert np.mean(errors) == pytest.approx(np.std([found.mean() for found in values]), rel=0.1)


def test_many_classes_take_little_time_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, labels, classes = labelled(10_000, 150)
    began = time.perf_counter()
    whole = pseudo_values("macro_f1", predicted, labels, classes)
    assert time.perf_counter() - began < 1  # 0.02 s where it was written
    monkeypatch.setattr(jackknife, "AT_ONCE", 1000)
    assert (pseudo_values("macro_f1", predicted, labels, classes) == whole).all()


def test_a_metric_of_evaluate_is_recomputed_without_a_row_of_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, labels, classes = labelled(30, 3, right=0.5)
    calls = list[int]()

    def compute(name: str, predicted: np.ndarray, labels: np.ndarray) -> float:
        calls.append(len(labels))
        return metrics(predicted, labels, classes)["macro_f1"]

    monkeypatch.setattr(jackknife, "compute", compute)
    found = pseudo_values("evaluate:f1", predicted, labels, classes)
    assert found == pytest.approx(pseudo_values("macro_f1", predicted, labels, classes))
    assert len(calls) == 1 + len({*zip(predicted.tolist(), labels.tolist(), strict=True)})


def test_what_is_no_metric_of_classes_is_refused() -> None:
    with pytest.raises(KeyError, match="expected_calibration_error"):
        pseudo_values("expected_calibration_error", *labelled(30, 3))
