"""The reference that every fine-tuned model should beat: TF-IDF and logistic regression on the same splits."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.core.objectives import DEFAULT_METRIC
from peftsearch.data.base import documents
from peftsearch.methods.tfidf import Tfidf
from peftsearch.results.formatting import objective_label
from peftsearch.training.metrics.classification import classification_metrics

if TYPE_CHECKING:
    from peftsearch.data.base import TextData

SETTINGS = {"longest_term": 2, "minimum_texts": 1, "inverse_penalty": 10.0}


@dataclass(frozen=True)
class Reference:
    """TF-IDF + logistic regression, fitted on the training split and measured on the validation split.

    Attributes:
        metrics: the validation metrics by name, as for any trial.
        seconds: the processor time that fitting took, including the vectoriser.
        fingerprint: identifies the data on which it was measured.
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
        """One line to print under a front, with the metric `quality` or, if it was not measured, macro F1."""
        name = quality if quality in self.metrics else DEFAULT_METRIC
        return (
            f"for reference: TF-IDF + logistic regression reaches {objective_label(name)} {self.metrics[name]:.3f} "
            f"in {self.seconds:.1f} s"
        )


def measure_reference(data: TextData) -> Reference:
    """Fit TF-IDF over words and pairs of words and logistic regression (C = 10) on `train`; measure on `validation`.

    Raises:
        UserError: the texts hold no words.
    """
    import numpy as np
    import sklearn.linear_model  # noqa: F401 its import takes seconds, which are not fitting

    train, validation = data.splits["train"], data.splits["validation"]
    started = time.thread_time()  # the clock of `training.meter`, whose module imports torch
    model = Tfidf().fit(documents(train), np.asarray(train["label"]), len(data.labels), SETTINGS)
    seconds = time.thread_time() - started
    metrics = classification_metrics(model.scores(documents(validation)), np.asarray(validation["label"]))
    return Reference(metrics, seconds, data.fingerprint)
