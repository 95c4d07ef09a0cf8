"""A merged encoder is one of its architecture's own class, and computes as the tuned one did."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.loading import ResolvedModel, load_encoder, load_tokenizer
from peftsearch.core.dimensions import Scalar
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS
from tests.helpers.tuning import TEXTS, settings_of, take_steps

CANNOT_MERGE = {
    *("prompt", "p_tuning", "prefix"),
    *("seq_bn", "double_seq_bn", "par_bn", "compacter", "loreft", "unipelt", "mam"),
}
VARIANTS: list[tuple[str, dict[str, Scalar]]] = [
    *((method, {}) for method in ENCODER_METHODS),
    ("lora", {"dora": True}),
    ("lora", {"initialization": "pissa", "rslora": True}),
    ("unfreezing", {"order": "query_key_value"}),
]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_a_merged_encoder_is_plain_and_computes_the_same(
    tiny: Callable[[str], ResolvedModel], architecture: str
) -> None:
    resolved, merged_methods = tiny(architecture), set()
    pretrained = load_encoder(resolved)
    batch = load_tokenizer(resolved)(*TEXTS, padding=True, return_tensors="pt")
    for method_name, changes in VARIANTS:
        method = ENCODER_METHODS[method_name]
        reach: dict[str, Scalar] = {"targets": "all"} if "targets" in method.own else {}
        settings = settings_of(method_name, head="linear", **{**reach, **changes})
        if method.unsupported(anatomy_of_config(resolved.config()), settings):
            continue
        torch.manual_seed(0)
        classifier = build_classifier(resolved, method, settings, 3)
        take_steps(classifier, batch, learning_rate=0.05)
        trained = any(p.requires_grad for p in classifier.encoder.parameters())
        with torch.no_grad():
            expected = classifier.eval()(**batch).logits
            merged = method.merged(classifier.encoder)
            assert (merged is None) == (method_name in CANNOT_MERGE), method_name
            if merged is not None:
                assert type(merged) is type(pretrained)
                assert merged.state_dict().keys() == pretrained.state_dict().keys(), method_name
                plain = load_encoder(resolved).eval()
                classifier.encoder = plain
                unmerged = classifier(**batch).logits
                plain.load_state_dict(merged.state_dict())
                torch.testing.assert_close(classifier(**batch).logits, expected, rtol=1e-4, atol=1e-4, msg=method_name)
                assert trained == bool((unmerged - expected).abs().max() > 1e-2), f"{method_name} has moved nothing"
                merged_methods.add(method_name)
            else:
                torch.testing.assert_close(classifier(**batch).logits, expected, rtol=0, atol=0)
    assert merged_methods >= {"full", "probe", "loha"}
