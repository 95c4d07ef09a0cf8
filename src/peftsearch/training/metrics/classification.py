"""Classification metrics of one split, from scikit-learn and, where a study asks for them, from 🤗 Evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.measurement import ClassReport
from peftsearch.core.predictions import Predictions
from peftsearch.training.metrics.hf_evaluate import compute

if TYPE_CHECKING:
    from transformers import EvalPrediction

AVERAGES = ("macro", "weighted", "micro")

CALIBRATION_BINS = 15
"""Guo et al. 2017 have as many."""


def classification_metrics(
    logits: NDArray[np.floating], labels: NDArray[np.integer], evaluate: Sequence[str] = ()
) -> dict[str, float]:
    """Every validation metric of the table of objectives that the number of classes allows, by name.

    Args:
        logits: shape (rows, classes). Its width, not the labels seen, is the number of classes: a class that
            the split lacks and that is never predicted counts as F1 = 0 in the macro mean.
        labels: shape (rows,), in 0..classes - 1.
        evaluate: objectives of the form `evaluate:NAME` to add.
    """
    from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef, precision_recall_fscore_support

    predicted, classes = logits.argmax(axis=1), np.arange(logits.shape[1])
    several = len(np.union1d(labels, predicted)) > 1  # else scikit-learn warns, and says 0
    metrics = {
        "accuracy": float(accuracy_score(labels, predicted)),
        "balanced_accuracy": _balanced_accuracy(predicted, labels),
        "matthews_correlation": float(matthews_corrcoef(labels, predicted)) if several else 0.0,
        "worst_class_f1": float(f1_score(labels, predicted, labels=np.unique(labels), average=None).min()),
        "expected_calibration_error": expected_calibration_error(logits, labels),
    }
    for average in AVERAGES:
        precision, recall, f1, _ = precision_recall_fscore_support(
            labels, predicted, labels=classes, average=average, zero_division=0.0
        )
        metrics |= {
            f"{average}_precision": float(precision),
            f"{average}_recall": float(recall),
            f"{average}_f1": float(f1),
        }
    if len(classes) == 2:
        metrics["f1_positive"] = float(f1_score(labels, predicted, labels=classes, pos_label=1, zero_division=0.0))
    return metrics | {name: compute(name, predicted, labels) for name in evaluate}


def expected_calibration_error(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean distance in 0..1 between confidence and accuracy: over bins of equal width, weighted by their rows.

    Confidence is the probability of the predicted class. Source: Naeini et al. 2015; Guo et al. 2017,
    https://arxiv.org/abs/1706.04599. Arrays as in `classification_metrics`.
    """
    from scipy.special import softmax

    confidence = softmax(logits.astype(np.float64), axis=1).max(axis=1)
    right = logits.argmax(axis=1) == labels
    edges = np.linspace(0, 1, CALIBRATION_BINS + 1)[1:-1]
    bins = np.digitize(confidence, edges, right=True)  # a bin holds its upper edge, as in the paper
    return float(np.abs(np.bincount(bins, weights=right - confidence)).sum() / len(labels))


def class_report(logits: NDArray[np.floating], labels: NDArray[np.integer], names: Sequence[str]) -> ClassReport:
    """Which classes the rows were taken for; arrays as in `classification_metrics`."""
    pairs, counts = np.unique(np.stack([labels, logits.argmax(axis=1)], axis=1), axis=0, return_counts=True)
    cells = tuple((true, guess, count) for (true, guess), count in zip(pairs.tolist(), counts.tolist(), strict=True))
    return ClassReport(tuple(names), cells)


class ValidationScores:
    """`Trainer.compute_metrics`: keeps what it finds, for the callback that reports the epoch.

    The Trainer would put a prefix before every name that is returned to it, so it gets none.

    Args:
        labels: the names of the classes, by index.
        evaluate: objectives of the form `evaluate:NAME` to compute too.
        order: the place in the split of each row that is evaluated, shape (rows,); by default its own order.

    Attributes:
        metrics: of the last evaluation, as `classification_metrics` names them.
        loss: the last evaluation's cross entropy.
        classes: how the last evaluation labelled each class.
        predictions: what the last evaluation said about each row, in the order of the split.
    """

    metrics: dict[str, float]
    loss: float
    classes: ClassReport
    predictions: Predictions

    def __init__(
        self, labels: Sequence[str], evaluate: Sequence[str] = (), order: NDArray[np.integer] | None = None
    ) -> None:
        self._labels = labels
        self._evaluate = evaluate
        self._order = order

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        self.predictions = in_order(np.asarray(prediction.predictions), np.asarray(prediction.label_ids), self._order)
        logits, labels = self.predictions.logits, self.predictions.labels
        self.metrics = classification_metrics(logits, labels, self._evaluate)
        self.loss = cross_entropy(logits, labels)
        self.classes = class_report(logits, labels, self._labels)
        return {}


def in_order(
    logits: NDArray[np.floating], labels: NDArray[np.integer], order: NDArray[np.integer] | None = None
) -> Predictions:
    """Rows that were evaluated in another order, put back into that of their split.

    Args:
        logits: shape (rows, classes).
        labels: shape (rows,).
        order: as for `ValidationScores`.
    """
    back = slice(None) if order is None else np.argsort(order)
    return Predictions(logits[back].astype(np.float32), labels[back].astype(np.int64))


def cross_entropy(logits: NDArray[np.floating], labels: NDArray[np.integer]) -> float:
    """Mean negative log-likelihood in nats, without label smoothing, weights or focus."""
    from scipy.special import log_softmax

    likelihood = log_softmax(logits.astype(np.float64), axis=1)
    return float(-likelihood[np.arange(len(labels)), labels].mean())


def _balanced_accuracy(predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """As scikit-learn's, which warns where a class is predicted that no row has: a class without rows has no recall."""
    return float(np.mean([(predicted[labels == label] == label).mean() for label in np.unique(labels)]))
