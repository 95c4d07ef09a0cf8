"""The latency of a classifier: what is timed is what would be exported, and it leaves the classifier as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.backbones.loading import resolve
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training import serving
from peftsearch.training.serving import TIMED, WARM_UP, Latency, encoder_latency
from peftsearch.training.trial import TrialResult, run_trial
from tests.helpers.tiny import tiny_model, tiny_tokenizer
from tests.helpers.toy import toy_data
from tests.helpers.tuning import settings_of

DATA = toy_data(train=24, validation=12)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny_model(tmp_path_factory.mktemp("bert")))


def config(backbone: str, method: str, **settings: Any) -> TrialConfig:
    return TrialConfig(
        backbone,
        method,
        settings_of(method, **settings),
        TrainingConfig(epochs=1, batch_size=8, precision="fp32"),
        max_length=24,
        measure=("latency_ms",),
    )


def trained(config: TrialConfig, folder: Path) -> Any:
    return run_trial(config, DATA, lambda report: None, cache=folder / "cache", device="cpu")


@pytest.mark.parametrize("method", ["lora", "seq_bn"])
def test_a_trial_measures_its_latency_if_it_is_asked_to(backbone: str, tmp_path: Path, method: str) -> None:
    result = trained(config(backbone, method), tmp_path)
    assert 0 < result.measurement.median_latency_ms <= result.measurement.latency_ms < 1000
    quiet = trained(replace(config(backbone, method), measure=()), tmp_path)
    assert (quiet.measurement.latency_ms, quiet.measurement.median_latency_ms) == (None, None)
    assert quiet.measurement.metrics == result.measurement.metrics
    states = [found.classifier.state_dict() for found in (result, quiet)]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("method", ENCODER_METHODS)
def test_every_method_has_a_latency_and_keeps_its_classifier(
    backbone: str, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(serving, "TIMED", 3)
    monkeypatch.setattr(serving, "WARM_UP", 1)
    asked = config(backbone, method)
    classifier = build_classifier(resolve(backbone), ENCODER_METHODS[method], asked.settings, 3).eval()
    ids = torch.arange(5, 20).reshape(3, 5)
    with torch.inference_mode():
        before = classifier(input_ids=ids).logits
        assert encoder_latency(classifier, asked, tiny_tokenizer(), DATA.splits["validation"]).p95 > 0
        assert torch.equal(classifier(input_ids=ids).logits, before)


def test_a_model_without_a_backbone_has_a_latency_too(tmp_path: Path) -> None:
    settings = {"longest_term": 2, "minimum_texts": 1, "inverse_penalty": 10.0}
    asked = TrialConfig("none", "tfidf", settings, measure=("latency_ms",))
    assert 0 < trained(asked, tmp_path).measurement.latency_ms < 1000


def test_what_is_timed_is_merged_and_labels_one_text_at_a_time(
    backbone: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = trained(replace(config(backbone, "lora"), measure=()), tmp_path)
    assert isinstance(result, TrialResult)
    shapes: list[torch.Size] = []

    def counting(self: Any, encoder: Any) -> Any:
        merged = merge(self, encoder)
        assert not any("lora" in name for name, _ in merged.named_parameters())
        note = lambda module, args, inputs: shapes.append(inputs["input_ids"].shape)  # noqa: E731
        merged.register_forward_pre_hook(note, with_kwargs=True)
        return merged

    merge = type(ENCODER_METHODS["lora"]).merged
    monkeypatch.setattr(type(ENCODER_METHODS["lora"]), "merged", counting)
    encoder_latency(result.classifier, result.config, result.tokenizer, DATA.splits["validation"])
    assert len(shapes) == WARM_UP + TIMED
    assert {rows for rows, _ in shapes} == {1}
    assert len({tokens for _, tokens in shapes}) > 3  # not padded to one width
    assert any("lora" in name for name, _ in result.classifier.named_parameters())


def test_percentiles_are_over_the_texts_after_the_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([9.0] * WARM_UP + [0.001] * 90 + [0.1] * 10)
    now = [0.0]
    monkeypatch.setattr(serving.time, "perf_counter", lambda: now[0])

    def label(_: str) -> None:
        now[0] += next(seconds)

    found = serving._timed(label, ["a", "b", "c"], lambda: False)
    assert found == Latency(pytest.approx(1.0), pytest.approx(100.0))


def test_a_trial_that_is_asked_to_stop_measures_no_more(backbone: str, tmp_path: Path) -> None:
    result = trained(replace(config(backbone, "probe"), measure=()), tmp_path)
    with pytest.raises(Interrupted, match="stopped while the latency was measured"):
        encoder_latency(
            result.classifier, result.config, result.tokenizer, DATA.splits["validation"], should_stop=lambda: True
        )
