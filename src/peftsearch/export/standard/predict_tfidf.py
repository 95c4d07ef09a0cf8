"""Opens a classifier over TF-IDF weights, from the files beside this one, with scikit-learn, NumPy and safetensors.

classify = load(".")
classify(["a text"])   # [{"label": …, "score": …}], the score a probability
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file
from sklearn.feature_extraction.text import TfidfVectorizer


class TextClassifier:
    """A linear classifier over the TF-IDF weights of word n-grams.

    Args:
        folder: holds `terms.json` and `trainable.safetensors`.
    """

    def __init__(self, folder: Path) -> None:
        about = json.loads((folder / "terms.json").read_text(encoding="utf-8"))
        tensors = load_file(folder / "trainable.safetensors")
        self.labels: list[str] = about["labels"]
        self.weights, self.intercepts = tensors["weights"], tensors["intercepts"]
        self.vectorizer = TfidfVectorizer(
            ngram_range=(1, about["longest"]),
            sublinear_tf=True,
            token_pattern=r"(?u)\b\w+\b",
            vocabulary={term: column for column, term in enumerate(about["terms"])},
        )
        self.vectorizer.idf_ = tensors["idf"]

    def logits(self, texts: Sequence[str | Mapping[str, str]]) -> Any:
        """An array of shape (texts, labels). The two texts of a pair (`text`, `text_pair`) are read as one."""
        whole = [text if isinstance(text, str) else f"{text['text']} {text['text_pair']}" for text in texts]
        return self.vectorizer.transform(whole) @ self.weights.T + self.intercepts

    def __call__(self, texts: Sequence[str | Mapping[str, str]]) -> list[dict[str, Any]]:
        """The most probable label of each text, and its probability as `score`."""
        found = np.exp(scores := self.logits(texts) - self.logits(texts).max(axis=1, keepdims=True))
        found /= found.sum(axis=1, keepdims=True)
        return [
            {"label": self.labels[place], "score": float(row[place])}
            for row, place in zip(found, scores.argmax(axis=1), strict=True)
        ]


def load(folder: str | Path) -> TextClassifier:
    """The classifier in this folder."""
    return TextClassifier(Path(folder))
