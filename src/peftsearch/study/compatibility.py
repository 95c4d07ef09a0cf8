"""Checks, before anything is trained, that a study's backbones are found and that its methods can tune them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from peftsearch.backbones.files import check_tokenizer_files, check_weights
from peftsearch.backbones.names import ResolvedModel, resolve, resolve_tokenizer
from peftsearch.backbones.safe_config import check_tokenizer
from peftsearch.backbones.vocabulary import check_vocabulary, vocabulary_size
from peftsearch.core.dimensions import Scalar, extremes
from peftsearch.methods.base import Method
from peftsearch.methods.table import METHODS
from peftsearch.study.conditions import activating_setting
from peftsearch.study.methods_section import Space
from peftsearch.study.sections import Backbone
from peftsearch.study.spec import StudySpec


def check_feasible(spec: StudySpec) -> None:
    """Resolve every backbone, and check the corners of every method's space and every baseline. Needs no torch.

    Raises:
        UserError: a backbone or its tokenizer is not found, the two do not fit, or a method cannot tune the backbone
            with some of its settings.
    """
    resolved = {b.name: resolve(b.name, b.revision, b.trust_remote_code) for b in spec.backbones}
    for backbone in spec.backbones:
        _check_files(backbone, resolved[backbone.name])
    lengths = {backbone.name: backbone.max_length or spec.data.max_length for backbone in spec.backbones}
    for backbone in spec.backbones:
        for method, space in spec.methods.items():
            for settings in corners(METHODS[method], space) if backbone.takes(method) else ():
                METHODS[method].check_supported(resolved[backbone.name], settings, lengths[backbone.name])
    for baseline in spec.baselines:
        found, length = resolved[baseline.backbone], lengths[baseline.backbone]
        METHODS[baseline.method].check_supported(found, baseline.settings, length)


def _check_files(backbone: Backbone, found: ResolvedModel) -> None:
    """Check that the files of a backbone and of its tokenizer are whole, harmless, and fit each other."""
    check_weights(found.name, Path(found.path))
    named = resolve_tokenizer(backbone.tokenizer, backbone.tokenizer_revision) if backbone.tokenizer else None
    tokenizer = named or found
    check_tokenizer_files(tokenizer.name, Path(tokenizer.path))
    check_tokenizer(tokenizer.name, Path(tokenizer.path), named is None and backbone.trust_remote_code)
    check_vocabulary(found, backbone.tokenizer, vocabulary_size(tokenizer))


def corners(method: Method, space: Space) -> Iterator[dict[str, Scalar]]:
    """Settings that show each end and option of a dimension once where it is active, all others at their first."""
    ends = {name: extremes(dimension) for name, dimension in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    yield first
    for name, values in ends.items():
        for value in values[1:]:
            yield {**first, **activating_setting(method, name, space), name: value}
