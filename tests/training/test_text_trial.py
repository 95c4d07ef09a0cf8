"""Points on the front that train no encoder: TF-IDF with logistic regression, and a head that is not trained."""

from __future__ import annotations

import json
from dataclasses import replace

import datasets
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_info, threadpool_limits

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.write import write_files
from peftsearch.methods.table import METHODS
from peftsearch.predict.load import load_classifier
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

SETTINGS = {"longest_term": 2, "minimum_texts": 1, "inverse_penalty": 10.0}


def _run(config, tmp_path, data, reports):
    return run_trial(config, data, reports.append, cache=tmp_path / "cache", device="cpu")


def test_tfidf_needs_no_backbone_and_finds_the_key_words(tmp_path):
    reports = []
    data = toy_data(96, 24)
    result = _run(TrialConfig("no/such-backbone", "tfidf", SETTINGS), tmp_path, data, reports)
    measured = result.measurement
    assert measured.metrics["macro_f1"] > 0.9
    assert measured.trainable_parameters == result.model.weights.size + 3
    assert measured.train_seconds > 0
    result.model.save(tmp_path / "model")
    assert measured.model_size_mb * 1024**2 == sum(file.stat().st_size for file in (tmp_path / "model").iterdir())
    assert (measured.epochs, reports) == (0, [])
    assert (measured.threads, measured.exact) == (1, False)
    assert measured.device.endswith(" (1 thread)")
    assert sum(count for _, _, count in measured.classes.cells) == 24
    assert not (tmp_path / "cache").exists()


def test_tfidf_computes_what_scikit_learn_does():
    data = toy_data(60, 30)
    texts, labels = list(data.splits["train"]["text"]), np.asarray(data.splits["train"]["label"])
    for classes in (3, 2):
        rows = labels < classes
        chosen = [text for text, row in zip(texts, rows, strict=True) if row]
        model = METHODS["tfidf"].fit(chosen, labels[rows], classes, SETTINGS)
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
        own = LogisticRegression(C=10.0, max_iter=1000).fit(vectorizer.fit_transform(chosen), labels[rows])
        unseen = list(data.splits["validation"]["text"])
        expected = own.predict_proba(vectorizer.transform(unseen))
        assert np.allclose(_softmax(model.scores(unseen)), expected)


def test_tfidf_is_fitted_with_one_thread(monkeypatch):
    """OpenBLAS's threads would spin: on two cores they took nine times the processor time, and eight times the time."""
    threads = []
    plain = LogisticRegression.fit

    def watched(self, *args):
        threads.extend(pool["num_threads"] for pool in threadpool_info())
        return plain(self, *args)

    monkeypatch.setattr(LogisticRegression, "fit", watched)
    with threadpool_limits(limits=2):
        METHODS["tfidf"].fit(["a cat", "a dog"] * 5, np.array([0, 1] * 5), 2, SETTINGS)
        assert max(pool["num_threads"] for pool in threadpool_info()) == 2, "the caller's own are as before"
    assert set(threads) == {1}


def test_a_class_without_training_rows_is_never_predicted():
    model = METHODS["tfidf"].fit(["a cat", "a dog"] * 5, np.array([0, 2] * 5), 3, SETTINGS)
    probabilities = _softmax(model.scores(["a cat", "dog", "zzz"]))
    assert probabilities.shape == (3, 3)
    assert np.all(probabilities[:, 1] == 0)
    assert probabilities.argmax(axis=1)[:2].tolist() == [0, 2]


def test_texts_without_words_are_refused():
    with pytest.raises(UserError, match="method tfidf finds no terms in the training texts"):
        METHODS["tfidf"].fit(["!!!", "???"], np.array([0, 1]), 2, SETTINGS)


@pytest.mark.parametrize("pair", [False, True])
def test_an_exported_tfidf_labels_texts_and_holds_no_pickle(tmp_path, pair):
    data = toy_data(96, 24)
    if pair:
        splits = {name: _as_pairs(rows) for name, rows in data.splits.items()}
        data = replace(data, splits=splits)
    result = _run(TrialConfig("no/such-backbone", "tfidf", SETTINGS), tmp_path, data, [])
    result.save(tmp_path / "weights" / "4")
    (tmp_path / "out").mkdir()
    text = ["first", "second"] if pair else "text"
    write_files(read_checkpoint(tmp_path / "weights", 4), tmp_path / "out", {"study": "toy", "data": {"text": text}})
    files = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json", ".yaml", ".md", ".py"}

    classifier = load_classifier(tmp_path / "out")
    rows = data.splits["validation"]
    texts = list(zip(rows["text"], rows["pair"], strict=True)) if pair else list(rows["text"])
    answers = classifier.predict(texts, batch_size=5)
    right = [answer["label"] == data.labels[label] for answer, label in zip(answers, rows["label"], strict=True)]
    assert np.mean(right) == pytest.approx(result.measurement.metrics["accuracy"])
    assert sum(answers[0]["probabilities"].values()) == pytest.approx(1)


def test_a_damaged_model_is_refused(tmp_path):
    (tmp_path / "terms.json").write_text("{")
    with pytest.raises(UserError, match="holds no fitted text model; export or train it again"):
        METHODS["tfidf"].read(tmp_path)


def test_nothing_is_trained_and_the_head_is_the_seeds(tmp_path):
    model, data, reports = str(tiny_model(tmp_path / "bert")), toy_data(96, 24), []
    config = TrialConfig(model, "none", settings_of("none"), TrainingConfig(precision="fp32"))
    first, second = (_run(config, tmp_path, data, reports) for _ in range(2))
    measured = first.measurement
    assert (measured.trainable_parameters, measured.train_seconds, measured.epochs) == (0, 0.0, 0)
    assert (measured.best_epoch, reports) == (0, [])
    assert measured.metrics == second.measurement.metrics
    assert measured.metrics["accuracy"] < 0.7
    first.save(tmp_path / "weights" / "0")
    json.loads((tmp_path / "weights" / "0" / "trial.json").read_text(), parse_constant=_refuse)
    kept = read_checkpoint(tmp_path / "weights", 0).classifier()
    assert all(a.equal(b) for a, b in zip(kept.parameters(), first.classifier.parameters(), strict=True))


def _refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def _as_pairs(rows):
    halves = [text.split(" ", 1) for text in rows["text"]]
    first, second = [half[0] for half in halves], [half[-1] for half in halves]
    return datasets.Dataset.from_dict({"text": first, "pair": second, "label": rows["label"]})


def _softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)
