"""What is known of an exported classifier's quality, and from which rows: the facts that its model card states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.summary import confirmation
from peftsearch.core.front.tolerance import Tolerance
from peftsearch.core.objectives import DEFAULT_METRIC
from peftsearch.core.points import Point
from peftsearch.data.describe import TokenLengths, classes_of, token_lengths
from peftsearch.data.load import open_prepared
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.results.front import shown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from peftsearch.results.front import Row
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.confirmations import Opening
    from peftsearch.training.checkpoint import Checkpoint

TOKENISED = 2_000
"""Training rows, about, that are tokenised to say how many texts are cut."""


@dataclass(frozen=True)
class TrainingRows:
    """The rows that a classifier was trained on.

    Attributes:
        classes: the number of rows by class.
        lengths: the lengths of some of the rows in tokens; None if the classifier does not count in tokens.
    """

    classes: Mapping[str, int]
    lengths: TokenLengths | None = None


@dataclass(frozen=True)
class Evidence:
    """What a model card can say of quality besides the checkpoint's own measurement.

    Attributes:
        metric: the name of the metric that the search compared trials by.
        objectives: those of the study, by name; none if no search is known.
        rows: every finished trial of the study, and the epochs on its front.
        confirmed: the trial's runs with other seeds, if it was confirmed.
        tested: number → trial, of all that were confirmed.
        contenders: the numbers of the confirmed trials that may be the best; empty if that cannot be said.
        cheapest: the number of the cheapest within one standard error of the best mean.
        openings: every time that the study's test split was opened; None if no search is known.
        training: the training rows; None if the prepared data is gone.
        all_rows: whether the classifier was trained on the validation rows too, so that no score is its own.
        searched: the score by which the search ranked the configuration, if the checkpoint was trained after it.
    """

    metric: str = DEFAULT_METRIC
    objectives: Sequence[str] = ()
    rows: Sequence[Row] = ()
    confirmed: Confirmed | None = None
    tested: Mapping[Point, Confirmed] = field(default_factory=dict)
    contenders: Sequence[Point] = ()
    cheapest: Point | None = None
    openings: Sequence[Opening] | None = None
    training: TrainingRows | None = None
    all_rows: bool = False
    searched: float | None = None
    tolerance: Tolerance = field(default_factory=dict)


def evidence_of(stored: StoredStudy, kept: Checkpoint) -> Evidence:
    """Gather what the study's storage and its prepared data say of the trial `kept`."""
    found, points = confirmation(stored), stored.points()
    tested = {row.point: row for row in found.measured}
    own = next((row for row in points if row.point == kept.point), None)
    return Evidence(
        metric=found.metric,
        objectives=stored.objectives,
        rows=shown(points),
        confirmed=tested.get(kept.point),
        tested=tested,
        contenders=[row.point for row in found.may_be_best],
        cheapest=found.cheapest.point if found.cheapest else None,
        openings=found.openings,
        tolerance=stored.tolerance,
        training=training_rows(stored, kept),
        searched=own.measurement.metrics.get(found.metric) if own and own.measurement != kept.measurement else None,
    )


def training_rows(stored: StoredStudy, kept: Checkpoint) -> TrainingRows | None:
    """Count the rows of each class, and estimate how many texts are cut; None if the prepared data is gone."""
    from peftsearch.backbones.loading import resolve, tokenizer_of

    data, config = open_prepared(stored.folder, kept.measurement.data_fingerprint), kept.config
    if data is None:
        return None
    if config.method in TEXT_METHODS:
        return TrainingRows(classes_of(data, "train"))
    resolved = resolve(config.backbone, config.revision, config.trust_remote_code)
    tokenizer: PreTrainedTokenizerBase = tokenizer_of(config, resolved)
    return TrainingRows(classes_of(data, "train"), token_lengths(data, tokenizer, config.max_length, TOKENISED))
