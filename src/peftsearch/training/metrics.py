"""Classification metrics of one split, all from scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def classification_metrics(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> dict[str, float]:
    """Accuracy and macro and weighted precision, recall and F1, each in 0..1.

    Args:
        logits: shape (rows, classes). Its width, not the labels seen, is the number of classes: a class that
            the split lacks and that is never predicted counts as F1 = 0 in the macro mean.
        labels: shape (rows,), in 0..classes - 1.
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    predicted = logits.argmax(axis=1)
    metrics = {"accuracy": float(accuracy_score(labels, predicted))}
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels, predicted, labels=np.arange(logits.shape[1]), average=average, zero_division=0.0
        )
        metrics |= {
            f"{average}_precision": float(precision),
            f"{average}_recall": float(recall),
            f"{average}_f1": float(f1),
        }
    return metrics


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean negative log-likelihood in nats, without label smoothing."""
    from scipy.special import log_softmax

    likelihood = log_softmax(logits.astype(np.float64), axis=1)
    return float(-likelihood[np.arange(len(labels)), labels].mean())
