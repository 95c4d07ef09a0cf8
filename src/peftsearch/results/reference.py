"""The line that every fine-tuned model should beat: TF-IDF and logistic regression on the same splits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.results.words import objective_label
from peftsearch.training.metrics import classification_metrics

if TYPE_CHECKING:
    from datasets import Dataset

    from peftsearch.data.base import TextData


@dataclass(frozen=True)
class Reference:
    """TF-IDF + logistic regression, fitted on the training split and measured on the validation split.

    Attributes:
        metrics: as of any trial, each in 0..1.
        seconds: of fitting, the vectoriser's included.
        fingerprint: of the data it was measured on.
    """

    metrics: Mapping[str, float]
    seconds: float
    fingerprint: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        return cls(**data)

    def sentence(self, quality: str) -> str:
        """One line to print under a front."""
        name = quality if quality in self.metrics else "macro_f1"
        return (
            f"for reference: TF-IDF + logistic regression reaches {objective_label(name)} {self.metrics[name]:.3f} "
            f"in {self.seconds:.1f} s"
        )


def measure_reference(data: TextData) -> Reference:
    """Fit on `train`, measure on `validation`: words and pairs of words, sublinear counts, C = 10."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    train, validation = data.splits["train"], data.splits["validation"]
    model = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b"),
        LogisticRegression(C=10.0, max_iter=1000),
    )
    started = time.perf_counter()
    model.fit(_texts(train), train["label"])
    seconds = time.perf_counter() - started
    scores = _scores(model, validation, len(data.labels))
    return Reference(classification_metrics(scores, _labels(validation)), seconds, data.fingerprint)


def _scores(model: Any, rows: Dataset, classes: int) -> Any:
    """Probabilities of shape (rows, classes), 0 for a class that the training split lacks."""
    import numpy as np

    scores = np.zeros((len(rows), classes))
    scores[:, model.classes_] = model.predict_proba(_texts(rows))
    return scores


def _texts(rows: Dataset) -> list[str]:
    """A pair is one document: its words, wherever they stand."""
    if "pair" not in rows.column_names:
        return list(rows["text"])
    return [f"{a} {b}" for a, b in zip(rows["text"], rows["pair"], strict=True)]


def _labels(rows: Dataset) -> Any:
    import numpy as np

    return np.asarray(rows["label"])
