"""Our numbers are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from peftsearch.training.metrics import classification_metrics, cross_entropy

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(200, 4))
LABELS = RANDOM.integers(0, 4, size=200)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_f1_is_scikit_learns(average: str) -> None:
    expected = f1_score(LABELS, LOGITS.argmax(1), average=average)
    assert classification_metrics(LOGITS, LABELS)[f"{average}_f1"] == pytest.approx(expected)


def test_a_class_the_split_lacks_still_counts() -> None:
    logits = np.eye(3)[[0, 0, 1, 1]]
    metrics = classification_metrics(logits, np.array([0, 0, 1, 1]))
    assert metrics["accuracy"] == 1.0
    assert metrics["macro_f1"] == pytest.approx(2 / 3)
    assert metrics["weighted_f1"] == 1.0


def test_cross_entropy_is_the_log_loss() -> None:
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
    assert cross_entropy(LOGITS, LABELS) == pytest.approx(log_loss(LABELS, probabilities))
