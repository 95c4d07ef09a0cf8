"""Adapters that were written without their backbone, and the logits that they must give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peftsearch.backbones.loading import load_tokenizer
from peftsearch.backbones.names import resolve_tokenizer
from peftsearch.core.dimensions import Scalar
from peftsearch.export.proof import expected_logits, fresh_logits, job
from peftsearch.export.standard.folder import write_standard
from peftsearch.export.standard.reading import read_classifier
from peftsearch.training.batches import text_batch
from tests.export.test_standard import LABELS, MAX_LENGTH, MINILM, TEXTS, Exported, changed_everywhere
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of


def exported_adapters(
    root: Path, cases: Mapping[str, Iterable[tuple[str, Mapping[str, Scalar]]]]
) -> Iterator[Exported]:
    """An adapter for each method and its settings, on each architecture of `cases`."""
    for name, methods in cases.items():
        model = MINILM if name == MINILM else tiny_model(root / name, name)
        for method, changes in methods:
            settings: dict[str, Any] = settings_of(method, head="native", **changes)
            kept = changed_everywhere(model, method, settings, root / "weights", 0.01 if name == MINILM else 0.1)
            (folder := root / f"out-{kept.number}").mkdir()
            yield Exported(kept, folder, write_standard(kept, folder, adapter=True))


def assert_same_logits(found: Iterable[Exported]) -> None:
    """Opened in a fresh process without peftsearch, and by peftsearch, each gives the logits of what was trained."""
    found = list(found)
    logits = fresh_logits([job(one.form, one.folder, one.kept, TEXTS) for one in found])
    for one, other in zip(found, logits, strict=True):
        expected = expected_logits(one.kept, TEXTS)
        name = f"{one.kept.config.backbone} {one.kept.config.method} {one.kept.config.settings}"
        assert np.ptp(expected, axis=0).min() > 1e-3, f"{name} tells no texts apart, so nothing is tested"
        np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-5, err_msg=name)
        ours = read_classifier(one.folder, one.form, one.kept.config, len(LABELS))
        with torch.inference_mode():
            batch = text_batch(load_tokenizer(resolve_tokenizer(str(one.folder))), TEXTS, MAX_LENGTH)
            np.testing.assert_allclose(ours(**batch).logits.numpy(), expected, rtol=1e-4, atol=1e-5, err_msg=name)
