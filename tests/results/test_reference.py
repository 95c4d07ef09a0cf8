"""The line that every fine-tuned model should beat."""

from __future__ import annotations

from types import MappingProxyType

import datasets
import pytest

from peftsearch.core.errors import UserError
from peftsearch.data.base import TextData
from peftsearch.results.reference import Reference, measure_reference
from tests.helpers.toy import toy_data


def test_it_learns_what_words_tell() -> None:
    found = measure_reference(toy_data())
    assert found.metrics["macro_f1"] > 0.9
    assert found.seconds > 0
    assert Reference.from_dict(found.to_dict()) == found


def test_it_does_not_see_the_test_split() -> None:
    data = toy_data()
    splits = {name: rows for name, rows in data.splits.items() if name != "test"}
    assert measure_reference(TextData(data.labels, splits, "x")).fingerprint == "x"


def test_a_class_that_train_lacks_counts_against_it() -> None:
    data = toy_data()
    two = data.splits["train"].filter(lambda row: row["label"] != 2)
    found = measure_reference(TextData(data.labels, {**data.splits, "train": two}, "x"))
    assert found.metrics["macro_f1"] < 0.7


def test_pairs_are_read_together() -> None:
    rows = datasets.Dataset.from_dict({"text": ["one"] * 4, "pair": ["cat", "dog"] * 2, "label": [0, 1] * 2})
    data = TextData(("cat", "dog"), MappingProxyType({"train": rows, "validation": rows}), "x")
    assert measure_reference(data).metrics["macro_f1"] == 1.0


def test_it_speaks_of_the_study_s_quality() -> None:
    found = Reference({"macro_f1": 0.5, "accuracy": 0.75}, 0.36, "x")
    assert found.sentence("accuracy") == "for reference: TF-IDF + logistic regression reaches accuracy 0.750 in 0.4 s"
    assert "macro F1 0.500" in found.sentence("train_seconds")


def test_texts_without_words_have_no_reference() -> None:
    rows = datasets.Dataset.from_dict({"text": ["🙂", "🙁"], "label": [0, 1]})
    with pytest.raises(UserError, match="empty vocabulary"):
        measure_reference(TextData(("a", "b"), {"train": rows, "validation": rows}, "x"))
