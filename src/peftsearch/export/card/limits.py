"""The section of a model card that says what the classifier has not learned and was not tried on, as far as known."""

from __future__ import annotations

from collections.abc import Iterator

from peftsearch.core.escaping import markdown_text
from peftsearch.core.measurement import ClassReport
from peftsearch.export.card.evidence import Evidence
from peftsearch.export.card.quality import class_scores
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.results.formatting import percent
from peftsearch.training.checkpoint import Checkpoint

FEW_ROWS = 20
"""Training rows below which the card names a class: one row more or less then moves its F1 by points."""

MOST_NAMED = 10
"""Classes that one sentence names at most."""


def limits_section(kept: Checkpoint, evidence: Evidence) -> str:
    """A list in Markdown, one sentence each."""
    sentences = [*_about_classes(kept, evidence), *_about_texts(kept, evidence)]
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _about_classes(kept: Checkpoint, evidence: Evidence) -> Iterator[str]:
    yield f"It answers with one of its {len(kept.labels)} classes also where a text belongs to none of them."
    if not evidence.all_rows:
        yield from _hardest(kept, evidence)
    if evidence.training:
        few = [(label, rows) for label, rows in evidence.training.classes.items() if rows < FEW_ROWS]
        if few:
            yield f"It has learned from few rows of: {_named(few)}."
    classes = kept.measurement.classes
    missing = [(label, 0) for label in _without_rows(classes)] if classes else []
    if missing and not evidence.all_rows:
        yield f"No validation row is of these classes, so nothing is known of how it labels them: {_named(missing)}."


def _hardest(kept: Checkpoint, evidence: Evidence) -> Iterator[str]:
    scores = [one for one in class_scores(kept.measurement, evidence.confirmed) if one[2]]
    if scores:
        label, f1, rows = min(scores, key=lambda one: one[1])
        words = f"{rows:,} {'test' if evidence.confirmed else 'validation'} row{'s' if rows > 1 else ''}"
        yield f"Its lowest F1 is that of {markdown_text(label)}: {f1:.3f} on {words}."


def _without_rows(classes: ClassReport) -> list[str]:
    return [score.label for score in classes.scores() if not score.support]


def _named(classes: list[tuple[str, int]]) -> str:
    words = [f"{markdown_text(label)} ({rows:,})" if rows else markdown_text(label) for label, rows in classes]
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _about_texts(kept: Checkpoint, evidence: Evidence) -> Iterator[str]:
    if kept.config.method not in TEXT_METHODS:
        found = evidence.training.lengths if evidence.training else None
        longer = f"; of {found.rows:,} training texts, {percent(found.truncated)} are longer" if found else ""
        yield f"A text is cut after {kept.config.max_length} tokens{longer}."
    yield "It was not tried on texts of another source, kind, language or time than its data, which is named below."
    yield "In which languages the texts are is not recorded."
