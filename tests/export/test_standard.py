"""Every method, head and architecture that can be exported opens without peftsearch and gives the same logits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Scalar
from peftsearch.core.errors import UserError
from peftsearch.export import proof
from peftsearch.export.proof import expected_logits, job
from peftsearch.export.standard.folder import write_standard
from peftsearch.export.standard.reading import read_classifier
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import text_batch
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint
from peftsearch.training.trial import TrialResult
from tests.helpers.records import measurement
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of
from tests.methods.test_contract import NOT_ON

LABELS = ("cat", "dog é", "red")
TEXTS = [("red",), ("good cat zzz",), ("bad dog is the very",), (" ".join(["blue", "word1", "not"] * 30),)]
"""The last one is longer than `MAX_LENGTH`."""
MAX_LENGTH = 24

HEADS: tuple[dict[str, Scalar], ...] = (
    {"head": "native"},
    {"head": "linear", "pooling": "mean"},
    {"head": "mlp", "pooling": "cls"},
    {"head": "lstm"},
)
MORE: tuple[tuple[str, dict[str, Scalar]], ...] = (
    ("none", {"head": "linear", "pooling": "last"}),
    ("full", {"head": "linear", "pooling": "max"}),
    ("lora", {"head": "native", "dora": True}),
    ("lora", {"head": "linear", "pooling": "mean", "initialization": "pissa", "rslora": True}),
    ("unfreezing", {"head": "native", "order": "query_key_value"}),
    ("p_tuning", {"head": "linear", "network": "lstm"}),
    ("prefix", {"head": "linear", "projection": False}),
    ("seq_bn", {"head": "linear", "top_layers": 1}),
)
"""What methods and heads do not reach by themselves; on BERT."""

EVERYTHING = bool(os.environ.get("PEFTSEARCH_EVERY_EXPORT"))
"""Whether every method is exported with every head from every architecture, which takes five minutes. Otherwise that
is done for BERT, and from any other architecture each method is exported with one head, another one on each."""


@dataclass(frozen=True)
class Exported:
    kept: Checkpoint
    folder: Path
    form: str


def changed_everywhere(
    model: Path | str, method: str, settings: Mapping[str, Scalar], weights: Path, scale: float = 0.1
) -> Checkpoint:
    """A trial as if it were trained: everything that the method trains is moved, so that no part of it is the identity.

    Raises:
        UserError: the method, or the head, does not fit the backbone.
    """
    config = TrialConfig(str(model), method, dict(settings), max_length=MAX_LENGTH)
    resolved = resolve(str(model))
    torch.manual_seed(0)
    classifier = build_classifier(resolved, ENCODER_METHODS[method], config.settings, len(LABELS))
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(scale * torch.randn_like(parameter))
    number = len(list(weights.glob("*")))
    TrialResult(measurement(), classifier.eval(), load_tokenizer(resolved), config, LABELS).save(weights / str(number))
    return read_checkpoint(weights, number)


def exports(architecture: str, root: Path) -> Iterator[Exported]:
    """An export of each method with each head that the architecture allows."""
    model, turn = tiny_model(root / "model", architecture), sorted(FAMILIES).index(architecture)
    if architecture == "bert" or EVERYTHING:
        cases = [*((method, head) for method in ENCODER_METHODS for head in HEADS), *MORE]
    else:
        cases = [(method, HEADS[(turn + place) % len(HEADS)]) for place, method in enumerate(ENCODER_METHODS)]
    for method, changes in cases:
        if architecture == "mamba" and changes.get("pooling") == "cls":
            changes = {**changes, "pooling": "last"}  # its first token has read no other
        try:
            kept = changed_everywhere(model, method, settings_of(method, **changes), root / "weights")
        except UserError:
            continue
        folder = root / f"out-{kept.number}"
        folder.mkdir()
        yield Exported(kept, folder, write_standard(kept, folder))


@pytest.mark.fresh_process
@pytest.mark.parametrize("architecture", FAMILIES)
def test_a_folder_opens_without_peftsearch_and_gives_the_same_logits(architecture: str, tmp_path: Path) -> None:
    found = list(exports(architecture, tmp_path))
    assert {one.kept.config.method for one in found} >= {"full", "lora", "prompt"} - NOT_ON.get(architecture, set())
    logits = proof.fresh_logits([job(one.form, one.folder, one.kept, TEXTS) for one in found])
    for one, other in zip(found, logits, strict=True):
        expected, name = expected_logits(one.kept, TEXTS), f"{one.kept.config.method} {one.kept.config.settings}"
        assert np.ptp(expected, axis=0).min() > 1e-3, f"{name} tells no texts apart, so nothing is tested"
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=2e-4, err_msg=name)
        config = json.loads((one.folder / "config.json").read_text(encoding="utf-8"))
        assert config["id2label"] == {str(number): label for number, label in enumerate(LABELS)}
        assert config["problem_type"] == "single_label_classification"
        own_code = (one.folder / "modeling_text_classifier.py").exists()
        assert own_code == (one.form != "architecture") == ("auto_map" in config)
        assert str(tmp_path) not in "".join(file.read_text() for file in one.folder.glob("*.json"))
        ours = read_classifier(one.folder, one.form, one.kept.config, len(LABELS))
        with torch.inference_mode():
            batch = text_batch(load_tokenizer(resolve(str(one.folder))), TEXTS, MAX_LENGTH)
            np.testing.assert_allclose(ours(**batch).logits.numpy(), expected, rtol=1e-4, atol=2e-4, err_msg=name)


MINILM = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.mark.fresh_process
def test_real_weights_open_without_peftsearch_and_give_the_same_logits(tmp_path: Path) -> None:
    cases: tuple[tuple[str, dict[str, Scalar]], ...] = (
        ("lora", {"head": "native", "targets": "all"}),
        ("full", {"head": "mlp", "pooling": "mean"}),
        ("par_bn", {"head": "linear", "pooling": "cls"}),
    )
    jobs, expected = [], []
    for number, (method, changes) in enumerate(cases):
        settings = settings_of(method, **changes)
        kept = changed_everywhere(MINILM, method, settings, tmp_path / "weights", scale=0.01)
        (folder := tmp_path / f"out-{number}").mkdir()
        jobs.append(job(write_standard(kept, folder), folder, kept, TEXTS))
        expected.append(expected_logits(kept, TEXTS))
    for logits, other in zip(expected, proof.fresh_logits(jobs), strict=True):
        assert np.ptp(logits, axis=0).min() > 1e-3, "no texts are told apart, so nothing is tested"
        np.testing.assert_allclose(other, logits, rtol=1e-4, atol=2e-4)
