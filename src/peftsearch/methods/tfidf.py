"""TF-IDF and logistic regression, which need no encoder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.methods.base import TextMethod
from peftsearch.methods.hyperparameters import Hyperparameter, Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TERMS = "terms.json"
"""The files of a fitted model: its tensors by the names of `LinearText`'s attributes, and its terms."""

NEVER = -1e4
"""The intercept of a class without training rows, which makes its probability 0."""


@dataclass(frozen=True)
class LinearText:
    """A linear classifier over the TF-IDF weights of word n-grams.

    Attributes:
        terms: the column of each term.
        longest: the number of words in the longest term.
        idf: inverse document frequencies of shape (terms,).
        weights: coefficients of shape (classes, terms).
        intercepts: shape (classes,).
    """

    terms: Mapping[str, int]
    longest: int
    idf: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercepts: NDArray[np.float64]

    @property
    def parameters(self) -> int:
        """The number of weights and intercepts, which fitting has chosen."""
        return int(self.weights.size + self.intercepts.size)

    def scores(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Logits of shape (texts, classes)."""
        logits: NDArray[np.float64] = self._weighted.transform(texts) @ self.weights.T + self.intercepts
        return logits

    @cached_property
    def _weighted(self) -> Any:
        """The vectorizer, made once: with many terms that takes longer than a text."""
        vectorizer = _vectorizer(self.longest, 1, vocabulary=dict(self.terms))
        vectorizer.idf_ = self.idf
        return vectorizer

    def save(self, folder: Path) -> None:
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"idf": self.idf, "weights": self.weights, "intercepts": self.intercepts}
        save_file(tensors, folder / TENSORS)
        about = {"longest": self.longest, "terms": sorted(self.terms, key=lambda term: self.terms[term])}
        (folder / TERMS).write_text(json.dumps(about, ensure_ascii=False), encoding="utf-8")


class Tfidf(TextMethod):
    """Word n-grams are weighted by TF-IDF, and a logistic regression classifies the weights."""

    name = "tfidf"
    summary = "TF-IDF and logistic regression on the words themselves, without a backbone"
    paper = "Wang and Manning 2012, https://aclanthology.org/P12-2018"
    when = (
        "In every study: it trains in seconds without a GPU, and its score is what an encoder has to exceed. On "
        "package descriptions in Russian, read by an English encoder, it was the best of all (0.733)."
    )
    random = False
    own: ClassVar[Mapping[str, Hyperparameter]] = {
        "longest_term": Hyperparameter(Choice((1, 2)), Range(1, 5, integer=True), "words in the longest n-gram"),
        "minimum_texts": Hyperparameter(Fixed(1), Range(1, 10_000, integer=True), "texts that a term must occur in"),
        "inverse_penalty": Hyperparameter(
            Range(0.1, 100.0, log=True), Range(1e-6, 1e6), "C of the regression; a larger one fits more closely"),
    }  # fmt: skip

    def fit(self, texts: Sequence[str], labels: NDArray[np.integer], classes: int, settings: Settings) -> LinearText:
        import numpy as np
        from sklearn.linear_model import LogisticRegression
        from threadpoolctl import threadpool_limits

        vectorizer = _vectorizer(int(settings["longest_term"]), int(settings["minimum_texts"]))
        try:
            counts = vectorizer.fit_transform(texts)
        except ValueError as error:
            raise UserError(f"method tfidf finds no terms in the training texts ({error}); leave it out") from error
        # L-BFGS makes hundreds of short operations on vectors, and OpenBLAS divides each among all its threads, which
        # then spin. On 4,000 questions two threads spent 11.5 processor seconds where one spends 1.2.
        with threadpool_limits(limits=1):
            model = LogisticRegression(C=float(settings["inverse_penalty"]), max_iter=1000).fit(counts, labels)
        weights, intercepts = np.zeros((classes, counts.shape[1])), np.full(classes, NEVER)
        two = len(model.classes_) == 2  # for two classes scikit-learn keeps the second one's coefficients alone
        weights[model.classes_] = np.vstack([np.zeros_like(model.coef_), model.coef_]) if two else model.coef_
        intercepts[model.classes_] = np.append(0.0, model.intercept_) if two else model.intercept_
        return LinearText(vectorizer.vocabulary_, int(settings["longest_term"]), vectorizer.idf_, weights, intercepts)

    def read(self, folder: Path) -> LinearText:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            about, tensors = json.loads((folder / TERMS).read_text(encoding="utf-8")), load_file(folder / TENSORS)
            terms = {term: column for column, term in enumerate(about["terms"])}
            return LinearText(terms, about["longest"], **tensors)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise UserError(f"{folder} holds no fitted text model; export or train it again") from error


def _vectorizer(longest: int, minimum: int, **options: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, longest), min_df=minimum, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b", **options
    )
