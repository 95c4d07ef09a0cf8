"""What each row of a split contributes to a metric, so that a metric's sampling error can be read from the rows.

A metric such as macro F1 is no mean over rows. The jackknife makes it one: the pseudo-value of a row is the metric
plus n - 1 times what the metric loses without the row (Quenouille 1956; Tukey 1958). The variance of pseudo-values,
divided by the number of rows, estimates the variance of the metric over other rows (Miller 1974, "The jackknife – a
review", Biometrika 61). The pseudo-values of accuracy are 1 for a row labelled right and 0 for any other.

All rows with the same true and predicted class have the same pseudo-value, so the metric is computed once a cell of
the confusion matrix, and for the metrics of the table of objectives in one go from what the cells sum up to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.objectives import EVALUATE
from peftsearch.training.metrics.hf_evaluate import compute

Floats = NDArray[np.float64]
Labels = NDArray[np.integer]

AT_ONCE = 2_000_000
"""Numbers held at once while rows are left out: cells times classes."""


def pseudo_values(metric: str, predicted: Labels, labels: Labels, classes: int) -> Floats:
    """The pseudo-value of every row, shifted by the same amount so that their mean is the metric itself.

    Args:
        metric: a metric of `COUNTED`, or `evaluate:NAME`, which is computed once for every cell.
        predicted: predicted classes, shape (rows,), in 0..classes - 1.
        labels: true classes, of the same shape.
        classes: how many classes the data has, seen or not.

    Returns:
        Shape (rows,), in the metric's own unit.

    Raises:
        KeyError: the metric is no function of true and predicted classes.
    """
    cell = labels.astype(np.int64) * classes + predicted
    counts = np.bincount(cell, minlength=classes * classes)
    cells = np.flatnonzero(counts)
    place, rows = (np.cumsum(counts > 0) - 1)[cell], counts[cells]
    true, guess = np.divmod(cells, classes)
    if metric.startswith(EVALUATE):
        whole, without = _recomputed(metric, predicted, labels, place, len(cells))
    else:
        whole, without = _counted(COUNTED[metric], true, guess, rows, classes)
    lost = (len(labels) - 1) * (np.average(without, weights=rows) - without)
    values: Floats = (whole + lost)[place]
    return values


@dataclass(frozen=True)
class Counts:
    """Rows of a split by class, all of shape (variants of the split, classes).

    Attributes:
        right: rows of the class that were labelled right.
        true: rows of the class.
        predicted: rows that were taken for the class.
    """

    right: Floats
    true: Floats
    predicted: Floats

    @property
    def rows(self) -> Floats:
        """Shape (variants,)."""
        total: Floats = self.true.sum(axis=1)
        return total


Metric = Callable[[Counts], Floats]
"""One value a variant of the split, shape (variants,)."""


def _ratio(above: Floats, below: Floats) -> Floats:
    """`above` / `below`, and 0 where both are 0, as scikit-learn's `zero_division=0.0`."""
    ratio: Floats = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    return ratio


def _precision(counts: Counts) -> Floats:
    return _ratio(counts.right, counts.predicted)


def _recall(counts: Counts) -> Floats:
    return _ratio(counts.right, counts.true)


def _f1(counts: Counts) -> Floats:
    return _ratio(2 * counts.right, counts.true + counts.predicted)


def _accuracy(counts: Counts) -> Floats:
    return _ratio(counts.right.sum(axis=1), counts.rows)


def _macro(by_class: Metric) -> Metric:
    return lambda counts: by_class(counts).mean(axis=1)


def _weighted(by_class: Metric) -> Metric:
    return lambda counts: _ratio((by_class(counts) * counts.true).sum(axis=1), counts.rows)


def _balanced_accuracy(counts: Counts) -> Floats:
    """Over the classes that the split has."""
    return _ratio(_recall(counts).sum(axis=1), (counts.true > 0).sum(axis=1).astype(np.float64))


def _matthews_correlation(counts: Counts) -> Floats:
    """Gorodkin's coefficient for several classes (2004), as scikit-learn computes it."""
    rows = counts.rows
    covariance = rows * counts.right.sum(axis=1) - (counts.true * counts.predicted).sum(axis=1)
    spreads = [rows**2 - (side**2).sum(axis=1) for side in (counts.true, counts.predicted)]
    return _ratio(covariance, np.sqrt(spreads[0] * spreads[1]))


COUNTED: Mapping[str, Metric] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "matthews_correlation": _matthews_correlation,
    "f1_positive": lambda counts: _f1(counts)[:, 1],
    "worst_class_f1": lambda counts: np.where(counts.true > 0, _f1(counts), 1.0).min(axis=1),
    "macro_precision": _macro(_precision),
    "macro_recall": _macro(_recall),
    "macro_f1": _macro(_f1),
    "weighted_precision": _weighted(_precision),
    "weighted_recall": _weighted(_recall),
    "weighted_f1": _weighted(_f1),
    "micro_precision": _accuracy,
    "micro_recall": _accuracy,
    "micro_f1": _accuracy,
}
"""The metrics of the table of objectives, of counts by class instead of rows. Their values are those of
`training.metrics.classification`, which a test compares."""


def _counted(metric: Metric, true: Labels, guess: Labels, rows: Labels, classes: int) -> tuple[float, Floats]:
    """The metric of the whole split, and without one row of each cell, shape (cells,)."""
    hits = true == guess
    right, ours, theirs = (
        np.bincount(at, weights=rows * kept, minlength=classes).astype(np.float64)[None]
        for at, kept in ((true, hits), (true, 1), (guess, 1))
    )
    without = np.empty(len(true))
    step = max(1, AT_ONCE // classes)
    for start in range(0, len(true), step):
        part = slice(start, start + step)
        left_out, taken_for = np.eye(classes)[true[part]], np.eye(classes)[guess[part]]
        without[part] = metric(Counts(right - left_out * hits[part, None], ours - left_out, theirs - taken_for))
    return float(metric(Counts(right, ours, theirs))[0]), without


def _recomputed(metric: str, predicted: Labels, labels: Labels, place: Labels, cells: int) -> tuple[float, Floats]:
    """The same from the rows themselves, for a metric of which nothing else is known."""
    first = [int(np.flatnonzero(place == cell)[0]) for cell in range(cells)]
    without = [compute(metric, np.delete(predicted, row), np.delete(labels, row)) for row in first]
    return compute(metric, predicted, labels), np.array(without)
