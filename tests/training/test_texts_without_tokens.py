"""A text of which the tokenizer keeps nothing is trained on and measured like any other, by every kind of method."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import datasets
import pytest

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.training.evaluate import measure_split
from peftsearch.training.trial import run_trial
from tests.helpers.tiny import VANISHING, change_tokenizer, tiny_model
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of


@pytest.mark.parametrize(
    ("method", "head"),
    [("tfidf", None), ("probe", "linear"), ("probe", "lstm"), ("frozen", "mlp"), ("full", "lstm"), ("lora", "native"),
     ("prompt", "linear"), ("prefix", "linear"), ("loreft", "linear"), ("none", "linear")],
)  # fmt: skip
@pytest.mark.parametrize("architecture", ["bert", "mamba"])
@pytest.mark.parametrize("others", ["texts", "words"])
def test_they_are_trained_on_and_measured(
    tmp_path: Path, architecture: str, others: str, method: str, head: str | None
) -> None:
    if architecture == "mamba" and (method in ("lora", "prefix", "loreft") or head == "native"):
        pytest.skip("not on this architecture")
    change_tokenizer(tiny_model(tmp_path / "model", architecture), "bare")
    data = toy_data(24, 12)
    splits = {name: with_empty(rows, others == "words") for name, rows in data.splits.items()}
    data = replace(data, splits=splits, fingerprint=f"without tokens, beside {others}")
    settings = settings_of(method, **({"head": head} if head else {}))
    training = TrainingConfig(epochs=2, batch_size=4, precision="fp32")
    config = TrialConfig(str(tmp_path / "model"), method, settings, training, max_length=16)
    result = run_trial(config, data, lambda report: None, cache=tmp_path / "cache", device="cpu")
    measured = measure_split(result, data, "test", cache=tmp_path / "cache", device="cpu")
    assert math.isfinite(measured.metrics["test_loss"])
    assert all(math.isfinite(value) for value in result.measurement.metrics.values())


def with_empty(rows: datasets.Dataset, words: bool) -> datasets.Dataset:
    """A run of texts without tokens, so that some batches hold nothing else; the others are texts or single words."""
    others = [text.split()[0] if words else text for text in rows["text"]]
    texts = [VANISHING if i < 8 else text for i, text in enumerate(others)]
    return datasets.Dataset.from_dict({"text": texts, "label": rows["label"][:]})
