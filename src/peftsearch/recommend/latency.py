"""The latency of trials that have not recorded it, measured now from the weights that the search has kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from peftsearch.confirm.run import searched_data
from peftsearch.core.points import Point
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.recommend.candidates import Candidate
from peftsearch.recommend.limits import LATENCY, Limit
from peftsearch.results.checkpoints import checkpoint_of
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from datasets import Dataset

    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.study.spec import StudySpec

Measure = Callable[[Sequence[Point]], dict[Point, float]]
"""Points → the milliseconds of those whose weights are kept."""


def with_latency(known: Sequence[Candidate], limits: Iterable[Limit], measure: Measure) -> list[Candidate]:
    """The candidates, with their latency where it is recorded or can be measured.

    Only trials that keep the other limits are measured, since no other one can be recommended.
    """
    others = [limit for limit in limits if limit.quantity != LATENCY]
    unknown = [
        candidate.point
        for candidate in known
        if LATENCY not in candidate.values and not any(limit.missed_by(candidate.values) for limit in others)
    ]
    found = measure(unknown) if unknown else {}
    return [
        replace(candidate, values={**candidate.values, LATENCY: found[candidate.point]}, timed_now=True)
        if candidate.point in found
        else candidate
        for candidate in known
    ]


def measure_latency(stored: StoredStudy, spec: StudySpec, points: Sequence[Point]) -> dict[Point, float]:
    """Time the points whose weights are kept, on the CPU and on rows of the validation split.

    Returns:
        Point → the 95th percentile of the milliseconds for one text.

    Raises:
        UserError: the study's data is gone, or the weights are damaged.
    """
    kept = [point for point in points if stored.weights(point, fetch=True)]
    if not kept:
        return {}
    rows = searched_data(stored, spec).splits["validation"]
    return {point: _milliseconds(checkpoint_of(stored.trial(point), stored.folder.weights), rows) for point in kept}


def _milliseconds(checkpoint: Checkpoint, rows: Dataset) -> float:
    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.training.serving import encoder_latency, text_model_latency

    config = checkpoint.config
    if config.method in TEXT_METHODS:
        return text_model_latency(TEXT_METHODS[config.method].read(checkpoint.folder), rows).p95
    backbone = resolve(config.backbone, config.revision, config.trust_remote_code)
    return encoder_latency(checkpoint.classifier(), config, tokenizer_of(config, backbone), rows).p95
