"""A classifier run from its prefix's states computes what it computes from tokens: logits, gradients, random draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from peftsearch.backbones.frozen_prefix import Layers, Pooled, reusable_prefix
from peftsearch.backbones.loading import load_tokenizer, resolve
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from tests.helpers.tiny import ARCHITECTURES, tiny_model
from tests.helpers.tuning import TEXTS, settings_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`model(architecture)`: a folder with three layers."""
    made: dict[str, Path] = {}

    def folder(architecture: str) -> Path:
        if architecture not in made:
            made[architecture] = tiny_model(tmp_path_factory.mktemp(architecture), architecture, layers=3)
        return made[architecture]

    return folder


def built(folder: Path, method: str, **settings: Any) -> tuple[Any, dict[str, torch.Tensor]]:
    """A classifier and a batch that it takes."""
    resolved = resolve(str(folder))
    torch.manual_seed(0)
    classifier = build_classifier(resolved, METHODS[method], settings_of(method, **settings), 3)
    return classifier, load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")


def from_states(classifier: Any, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same batch with the states of the classifier's prefix, as training gives it."""
    with torch.no_grad():
        states = classifier.prefix_states(**batch)
    if classifier.prefix.per_token:
        return {**batch, "states": states}
    return {"input_ids": torch.zeros(len(states), 1, dtype=torch.long), "states": states}


def gradients(classifier: Any, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits in training mode, dropout and all, and each trainable tensor's gradient."""
    torch.manual_seed(1)
    classifier.train()
    classifier.zero_grad()
    logits = classifier(**batch).logits
    torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2])).backward()
    trained = {name: p.grad.clone() for name, p in classifier.named_parameters() if p.grad is not None}
    return logits.detach(), trained


def assert_the_same_from_states(classifier: Any, batch: dict[str, torch.Tensor]) -> None:
    classifier.prefix = reusable_prefix(classifier)
    names = list(classifier.state_dict())
    logits, expected = gradients(classifier, batch)
    again, found = gradients(classifier, from_states(classifier, batch))
    torch.testing.assert_close(again, logits, rtol=0, atol=1e-6)
    assert found.keys() == expected.keys() == {n for n, p in classifier.named_parameters() if p.requires_grad}
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)
    assert list(classifier.state_dict()) == names
    classifier.eval()
    torch.testing.assert_close(
        classifier(**from_states(classifier, batch)).logits, classifier(**batch).logits, rtol=0, atol=1e-6
    )


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_probe_reads_one_state_a_row(model: Any, architecture: str, pooling: str) -> None:
    classifier, batch = built(model(architecture), "probe", pooling=pooling, head="mlp")
    assert_the_same_from_states(classifier, batch)
    assert isinstance(classifier.prefix, Pooled)
    assert classifier.prefix_states(**batch).shape == (3, 1, 32)


@pytest.mark.parametrize("head", ["linear", "native"])
@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "electra", "mpnet"])
def test_frozen_layers_are_left_out(model: Any, architecture: str, head: str) -> None:
    classifier, batch = built(model(architecture), "frozen", frozen_layers=2, head=head)
    assert_the_same_from_states(classifier, batch)
    assert isinstance(classifier.prefix, Layers)
    assert classifier.prefix.name == "layer 2"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_native_head_runs_its_poolers_over_the_last_states(model: Any, architecture: str) -> None:
    classifier, batch = built(model(architecture), "probe", head="native")
    assert_the_same_from_states(classifier, batch)
    assert classifier.prefix.name == "layer 3"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_lora_on_the_last_layers_only(model: Any, architecture: str) -> None:
    classifier, batch = built(model(architecture), "lora")
    for parameter in classifier.layers[0].parameters():
        parameter.requires_grad_(False)
    assert_the_same_from_states(classifier, batch)
    assert classifier.prefix.name == "layer 1"


@pytest.mark.parametrize("method", ["full", "lora", "prefix", "seq_bn"])
def test_nothing_to_reuse_where_the_first_layer_is_trained(model: Any, method: str) -> None:
    assert reusable_prefix(built(model("bert"), method)[0]) is None


def test_an_encoder_that_is_no_stack_of_layers_is_reused_whole_or_not_at_all(model: Any) -> None:
    assert reusable_prefix(built(model("deberta-v2"), "frozen", frozen_layers=2)[0]) is None
    assert isinstance(reusable_prefix(built(model("albert"), "probe")[0]), Pooled)
    assert reusable_prefix(built(model("albert"), "probe", head="native")[0]) is None


def test_layers_below_are_not_computed(model: Any) -> None:
    classifier, batch = built(model("bert"), "frozen", frozen_layers=2)
    classifier.prefix = reusable_prefix(classifier)
    with_states = from_states(classifier, batch)
    classifier.layers[0].attention = classifier.layers[1].attention = None
    assert classifier(**with_states).logits.shape == (3, 3)


def test_an_error_leaves_the_layers_as_they_were(model: Any) -> None:
    classifier, batch = built(model("bert"), "frozen", frozen_layers=2)
    classifier.prefix = reusable_prefix(classifier)
    with_states = from_states(classifier, batch)
    expected = classifier.eval()(**batch).logits
    with pytest.raises((RuntimeError, IndexError, TypeError)):
        classifier(**{**with_states, "states": torch.zeros(3, 2, 7)})
    torch.testing.assert_close(classifier(**batch).logits, expected)


def test_states_from_before_a_thaw_are_refused(model: Any) -> None:
    for method, thawed in (("probe", 2), ("frozen", 0)):
        classifier, batch = built(model("bert"), method)
        classifier.prefix = reusable_prefix(classifier)
        with_states = from_states(classifier, batch)
        classifier.layers[thawed].requires_grad_(True)
        with pytest.raises(AssertionError, match="thawed"):
            classifier(**with_states)
