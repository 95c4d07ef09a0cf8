"""A graph answers as the classifier does, for rows of any number and length."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch

from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.onnx import graph as graph_module
from peftsearch.export.onnx.graph import OPSET, check_installed, write_graph
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import text_batch
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of

BATCHES = (
    [("good cat is the very",), ("a dog",)],
    [("red",)],
    [("a b good cat word1 word2 word3 is",), ("not",), ("a the cat",), ("x",), ("very good",)],
)
PAIRS = [[(text, "a red dog") for (text,) in batch] for batch in BATCHES]


def written(
    folder: Path, architecture: str, method: str, settings: dict[str, Any], pair: bool = False
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The logits of a classifier far from its start, and those of its graph."""
    model = tiny_model(folder / "model", architecture)
    config = TrialConfig(str(model), method, settings_of(method, **settings), max_length=16)
    resolved = resolve(str(model))
    torch.manual_seed(0)
    classifier = build_classifier(resolved, ENCODER_METHODS[method], config.settings, 3).eval()
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    tokenizer = load_tokenizer(resolved)
    batches = [text_batch(tokenizer, texts, 16) for texts in (PAIRS if pair else BATCHES)]
    with torch.inference_mode():
        expected = [classifier(**batch).logits.numpy() for batch in batches]
    write_graph(classifier, config, tokenizer, pair, folder / "model.onnx")
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    taken = [node.name for node in session.get_inputs()]
    return expected, [session.run(["logits"], {name: batch[name].numpy() for name in taken})[0] for batch in batches]


@pytest.mark.parametrize(
    ("architecture", "method", "settings", "pair"),
    [
        ("bert", "full", {"head": "native"}, True),
        ("bert", "full", {"head": "lstm"}, False),  # sorts real tokens to the front
        ("bert", "prefix", {"pooling": "last"}, False),
        ("bert", "loreft", {"positions": 5}, False),  # computes a weight by a parametrization
        ("modernbert", "lora", {"pooling": "max"}, False),
        ("deberta-v2", "full", {"head": "native"}, False),
    ],
)
def test_logits_are_those_of_the_classifier(
    tmp_path: Path, architecture: str, method: str, settings: dict[str, Any], pair: bool
) -> None:
    expected, found = written(tmp_path, architecture, method, settings, pair)
    assert np.concatenate(expected).std(axis=0).min() > 1e-3, "the classifier tells no rows apart, so nothing is tested"
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5, rtol=0)


def test_a_graph_names_its_operators_and_no_path_of_this_machine(tmp_path: Path) -> None:
    import onnx

    expected, found = written(tmp_path, "distilbert", "par_bn", {"pooling": "mean"})
    np.testing.assert_allclose(found[0], expected[0], atol=1e-5, rtol=0)
    model = onnx.load(tmp_path / "model.onnx")
    assert {domain.version for domain in model.opset_import if not domain.domain} == {OPSET}
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim] == [0, 0], "a size is fixed"
    content = (tmp_path / "model.onnx").read_bytes()
    assert str(Path(torch.__file__).parents[1]).encode() not in content
    assert str(tmp_path).encode() not in content


def test_what_has_no_form_in_onnx_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        written(tmp_path, "mamba", "full", {"pooling": "mean"})
    assert str(caught.value).startswith(f"--onnx: full on {tmp_path / 'model'} has no form in ONNX (tracing inferred a")
    assert str(caught.value).endswith("; leave --onnx out")
    assert not (tmp_path / "model.onnx").exists()


def test_the_exporter_still_lacks_a_stable_sort() -> None:
    """If this fails, torch translates it: `_translations` can go."""

    class Sort(torch.nn.Module):
        def forward(self, mask: torch.Tensor) -> torch.Tensor:
            return mask.argsort(dim=1, stable=True)

    with pytest.raises(torch.onnx.OnnxExporterError, match=r"aten\.sort"):
        torch.onnx.export(Sort().eval(), (torch.ones(2, 3),), dynamo=True, verbose=False)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_module, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(UserError) as caught:
        check_installed()
    assert str(caught.value) == (
        "--onnx needs the package no_such_package; install it with: pip install 'peftsearch[onnx]'"
    )
