"""Full fine-tuning's layer-wise learning rates."""

from __future__ import annotations

import pytest

from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import METHODS
from tests.helpers.tuning import settings_of


@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        (
            "bert",
            {
                "embeddings.word_embeddings.weight": 0.25,
                "encoder.layer.0.output.dense.bias": 0.5,
                "encoder.layer.1.output.dense.bias": 1.0,
            },
        ),
        ("modernbert", {"embeddings.norm.weight": 0.25, "layers.0.mlp.Wo.weight": 0.5, "layers.1.mlp.Wo.weight": 1.0}),
    ],
)
def test_each_layer_below_learns_at_a_share_of_the_rate_above(tiny, architecture, expected):
    settings = settings_of("full", layer_decay=0.5)
    encoder = build_classifier(tiny(architecture), METHODS["full"], settings, 3).encoder
    rates = METHODS["full"].learning_rate_multipliers(encoder, settings)
    assert {name: rates[name] for name in expected} == expected
    assert set(rates) <= {name for name, _ in encoder.named_parameters()}
    assert "final_norm.weight" not in rates
