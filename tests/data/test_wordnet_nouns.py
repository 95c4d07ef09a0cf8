"""The packaged data of the quickstart study."""

from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from peftsearch.data.base import TextData
from tests.helpers.files import prepare

FOLDER = Path(str(files("peftsearch"))) / "resources" / "wordnet-nouns"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TextData:
    return prepare(
        tmp_path_factory.mktemp("glosses"),
        "package:peftsearch/resources/wordnet-nouns",
        splits={"validation": 0.15, "test": 0.2, "seed": 42},
        limit={"train": 2000, "validation": 600},
    )


def test_it_is_small_and_brings_its_licence() -> None:
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 400_000
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in (FOLDER / "LICENSE").read_text()


def test_ten_balanced_classes_in_disjoint_splits(data: TextData) -> None:
    assert len(data.labels) == 10
    assert {split: len(rows) for split, rows in data.splits.items()} == {"train": 2000, "validation": 600, "test": 840}
    assert set(Counter(data.splits["train"]["label"][:]).values()) == {200}
    texts = [text for rows in data.splits.values() for text in rows["text"]]
    assert len(set(texts)) == len(texts)


def test_the_rows_are_the_same_everywhere(data: TextData) -> None:
    assert data.fingerprint == "66d369eafe92b4f9"


def test_the_baseline_in_the_readme(data: TextData) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import f1_score
    from sklearn.pipeline import make_pipeline

    train, validation = data.splits["train"], data.splits["validation"]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(max_iter=1000)).fit(train["text"][:], train["label"][:])
    f1 = f1_score(validation["label"][:], model.predict(validation["text"][:]), average="macro")
    assert f1 == pytest.approx(0.732, abs=0.01)
    assert "logistic regression 0.732" in (FOLDER / "README.md").read_text()
