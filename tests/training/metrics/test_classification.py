"""Our numbers are scikit-learn's."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    log_loss,
    matthews_corrcoef,
    precision_recall_fscore_support,
    precision_score,
    recall_score,
)

from peftsearch.core.objectives import OBJECTIVES
from peftsearch.training.metrics.classification import (
    ValidationScores,
    class_report,
    classification_metrics,
    cross_entropy,
    expected_calibration_error,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(200, 4))
LABELS = RANDOM.integers(0, 4, size=200)
PREDICTED = LOGITS.argmax(1)


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_averages_are_scikit_learns(average: str) -> None:
    found = classification_metrics(LOGITS, LABELS)
    for name, score in (("f1", f1_score), ("precision", precision_score), ("recall", recall_score)):
        assert found[f"{average}_{name}"] == pytest.approx(score(LABELS, PREDICTED, average=average))


def test_balanced_accuracy_and_matthews_correlation_are_scikit_learns() -> None:
    found = classification_metrics(LOGITS, LABELS)
    assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(LABELS, PREDICTED))
    assert found["matthews_correlation"] == pytest.approx(matthews_corrcoef(LABELS, PREDICTED))


def test_the_worst_class_is_scikit_learns_among_those_that_the_split_has() -> None:
    each = f1_score(LABELS, PREDICTED, average=None)
    assert classification_metrics(LOGITS, LABELS)["worst_class_f1"] == pytest.approx(each.min())
    lacking = np.eye(3)[[0, 0, 1, 2, 1]]  # the split has no third class, and one row is taken for it
    found = classification_metrics(lacking, np.array([0, 0, 1, 1, 0]))["worst_class_f1"]
    assert found == pytest.approx(f1_score([0, 0, 1, 1, 0], [0, 0, 1, 2, 1], average=None)[:2].min())
    assert found > 0


def test_the_calibration_error_is_that_of_its_definition() -> None:
    logits = 3 * LOGITS
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    confidence, error = probabilities.max(1), 0.0
    for place in range(15):
        inside = (confidence > place / 15) & (confidence <= (place + 1) / 15)
        if inside.any():
            distance = (PREDICTED[inside] == LABELS[inside]).mean() - confidence[inside].mean()
            error += inside.mean() * abs(distance)
    found = classification_metrics(logits, LABELS)["expected_calibration_error"]
    assert found == pytest.approx(error)
    assert 0.2 < found < 1


def test_the_calibration_error_tells_confidence_that_is_kept_from_confidence_that_is_not() -> None:
    logits = np.log([[0.8, 0.2]] * 10)
    assert expected_calibration_error(logits, np.array([0] * 8 + [1] * 2)) == pytest.approx(0.0)
    assert expected_calibration_error(logits, np.ones(10, dtype=int)) == pytest.approx(0.8)
    assert expected_calibration_error(np.array([[1e4, 0.0]]), np.array([0])) == 0.0


def test_the_positive_f1_is_the_second_classs() -> None:
    logits, labels = LOGITS[:, :2], LABELS % 2
    expected = f1_score(labels, logits.argmax(1), pos_label=1)
    assert classification_metrics(logits, labels)["f1_positive"] == pytest.approx(expected)
    assert expected != pytest.approx(f1_score(labels, logits.argmax(1), pos_label=0))


def test_the_positive_f1_is_for_two_classes_only() -> None:
    assert "f1_positive" not in classification_metrics(LOGITS, LABELS)


def test_every_metric_of_the_table_is_measured() -> None:
    known = {objective.name for objective in OBJECTIVES.values() if objective.known == "curve"}
    assert classification_metrics(LOGITS[:, :2], LABELS % 2).keys() == known


def test_a_class_the_split_lacks_still_counts() -> None:
    logits = np.eye(3)[[0, 0, 1, 1]]
    metrics = classification_metrics(logits, np.array([0, 0, 1, 1]))
    assert metrics["accuracy"] == 1.0
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert metrics["weighted_f1"] == 1.0
    assert metrics["balanced_accuracy"] == 1.0


def test_a_class_the_split_lacks_but_that_is_predicted_changes_nothing_silently() -> None:
    logits, labels = np.eye(3)[[0, 2, 1, 1]], np.array([0, 0, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = classification_metrics(logits, labels)
    assert metrics["balanced_accuracy"] == pytest.approx(0.75)
    assert metrics["macro_recall"] == pytest.approx(0.5)
    assert len(class_report(logits, labels, "abc").scores()) == 3


def test_one_class_alone_gives_numbers_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = classification_metrics(np.eye(2)[[0, 0]], np.array([0, 0]))
    assert all(np.isfinite(value) for value in metrics.values())


def test_the_class_report_is_scikit_learns() -> None:
    logits = np.concatenate([LOGITS, np.full((200, 1), -9.0)], axis=1)  # a fifth class, neither there nor predicted
    report = class_report(logits, LABELS, "abcde")
    assert report.matrix() == confusion_matrix(LABELS, PREDICTED, labels=range(5)).tolist()
    expected = precision_recall_fscore_support(LABELS, PREDICTED, labels=range(5), zero_division=0.0)
    for place, (score, *numbers) in enumerate(zip(report.scores(), *expected, strict=True)):
        assert score.label == "abcde"[place]
        assert [score.precision, score.recall, score.f1, score.support] == pytest.approx(numbers)


def test_the_scores_of_an_evaluation_keep_its_class_report() -> None:
    scores = ValidationScores(tuple("abcd"))
    assert scores(SimpleNamespace(predictions=LOGITS, label_ids=LABELS)) == {}  # type: ignore[arg-type]
    assert scores.metrics["macro_f1"] == pytest.approx(f1_score(LABELS, PREDICTED, average="macro"))
    assert scores.loss == pytest.approx(cross_entropy(LOGITS, LABELS), abs=1e-7)  # it takes float32, as models give
    assert scores.classes == class_report(LOGITS, LABELS, "abcd")


def test_cross_entropy_is_the_log_loss() -> None:
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(log_loss(LABELS, probabilities))
