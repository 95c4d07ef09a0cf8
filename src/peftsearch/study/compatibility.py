"""Checks, before anything is trained, that a study's backbones are found and that its methods can tune them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peftsearch.backbones.names import resolve, resolve_tokenizer
from peftsearch.backbones.safe_config import check_tokenizer
from peftsearch.backbones.vocabulary import check_vocabulary, vocabulary_size
from peftsearch.core.dimensions import Scalar, extremes
from peftsearch.methods.base import Method
from peftsearch.methods.table import METHODS
from peftsearch.study.conditions import activating_setting
from peftsearch.study.methods_section import Space
from peftsearch.study.spec import StudySpec


def check_feasible(spec: StudySpec) -> None:
    """Resolve every backbone, and check the corners of every method's space and every baseline. Needs no torch.

    Raises:
        UserError: a backbone or its tokenizer is not found, the two do not fit, or a method cannot tune the backbone
            with some of its settings.
    """
    resolved = {b.name: resolve(b.name, b.revision, b.trust_remote_code) for b in spec.backbones}
    for backbone in spec.backbones:
        if not backbone.tokenizer:
            found = resolved[backbone.name]
            check_tokenizer(found.name, Path(found.path), backbone.trust_remote_code)
        else:
            found = resolve_tokenizer(backbone.tokenizer, backbone.tokenizer_revision)
            check_tokenizer(found.name, Path(found.path))
            check_vocabulary(resolved[backbone.name], found.name, vocabulary_size(found.path))
    lengths = {backbone.name: backbone.max_length or spec.data.max_length for backbone in spec.backbones}
    for backbone in spec.backbones:
        for method, space in spec.methods.items():
            for settings in corners(METHODS[method], space) if backbone.takes(method) else ():
                METHODS[method].check_supported(resolved[backbone.name], settings, lengths[backbone.name])
    for baseline in spec.baselines:
        found, length = resolved[baseline.backbone], lengths[baseline.backbone]
        METHODS[baseline.method].check_supported(found, baseline.settings, length)


def corners(method: Method, space: Space) -> Iterator[dict[str, Scalar]]:
    """Settings that show each end and option of a dimension once where it is active, all others at their first."""
    ends = {name: extremes(dimension) for name, dimension in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    yield first
    for name, values in ends.items():
        for value in values[1:]:
            yield {**first, **activating_setting(method, name, space), name: value}
