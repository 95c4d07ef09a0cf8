"""The validation rows that a trial labelled wrongly and was surest of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.data.base import documents
from peftsearch.data.load import open_prepared

if TYPE_CHECKING:
    from peftsearch.core.measurement import Measurement
    from peftsearch.core.points import Point
    from peftsearch.results.stored_study import StoredStudy

LONGEST_TEXT = 400
"""Characters of a text; the rest is cut off."""


@dataclass(frozen=True)
class Mistake:
    """One row; `probability` is what the classifier gave to the class it said, 0..1."""

    text: str
    label: str
    said: str
    probability: float


def surest_mistakes(stored: StoredStudy, point: Point, measurement: Measurement, count: int) -> list[Mistake] | str:
    """The wrong labels with the greatest probability, the surest first.

    Only the training and validation splits are opened, so nothing of the test split is shown.

    Args:
        stored: the study.
        point: the trial, or an epoch of it.
        measurement: what it has measured.
        count: how many to return at most.

    Returns:
        The mistakes, or the reason why they cannot be shown.
    """
    import numpy as np

    try:
        predictions = stored.predictions(point)
    except UserError as error:  # a damaged file, or a shared place that is away, is no reason to write no report
        return str(error)
    if predictions is None:
        return "what the trial said of each row is not kept on this machine"
    data = open_prepared(stored.folder, measurement.data_fingerprint)
    if data is None or len(data.splits["validation"]) != len(predictions.labels):
        return "the prepared texts are not on this machine"
    exponents = np.exp(predictions.logits.astype(np.float64) - predictions.logits.max(axis=1, keepdims=True))
    probabilities = (exponents / exponents.sum(axis=1, keepdims=True)).max(axis=1)
    said = predictions.predicted
    wrong = np.flatnonzero(said != predictions.labels)
    chosen = wrong[np.argsort(-probabilities[wrong], kind="stable")][:count]
    texts = documents(data.splits["validation"].select(chosen.tolist()))
    return [
        Mistake(_cut(text), data.labels[int(predictions.labels[row])], data.labels[int(said[row])],
                float(probabilities[row]))
        for row, text in zip(chosen, texts, strict=True)
    ]  # fmt: skip


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"
