"""The Markdown note of a trial, which the dashboard shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import markdown_text
from peftsearch.core.objectives import quality_objective
from peftsearch.results.formatting import (
    objective_label,
    objective_with_unit,
    reason_in_words,
    searchable_settings,
    value_in_words,
)

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

END = "---\n*peftsearch writes what stands above this line, and keeps what you write below it.*"


def note_with_own_words(record: Record, objectives: Sequence[str], written: str) -> str:
    """The trial's note, followed by what a person has written into the note that is there.

    Args:
        record: the trial.
        objectives: the study's, by name.
        written: the note that is there; empty if there is none.
    """
    ours, _, theirs = written.rpartition(END)
    own_words = theirs if ours or not theirs else f"\n{theirs}"
    return f"{trial_note(record, objectives)}\n\n{END}{own_words}"


def trial_note(record: Record, objectives: Sequence[str]) -> str:
    """What the trial is, what it reached, its settings and its epochs."""
    if record.config is None:
        return ""
    reached = [objective_with_unit(name, value) for name, value in record.values.items()]
    lines = [f"**{markdown_text(record.config.method)}** on {markdown_text(record.config.backbone)}", ""]
    lines += [
        f"- {markdown_text(line)}"
        for line in [*reached, *([f"{record.state}: {reason_in_words(record)}"] if reason_in_words(record) else [])]
    ]
    settings = [(name, value_in_words(value)) for name, value in searchable_settings(record.config).items()]
    lines += ["", *_table(("setting", "value"), settings), ""]
    if record.curve:
        lines += _epochs(record, quality_objective(objectives))
        lines += ["", f"Its learning curve is the figure `trial-{record.number}` on the study's page."]
    return "\n".join(lines)


def _epochs(record: Record, quality: str) -> list[str]:
    cells = [
        (str(e.epoch), f"{e.train_loss:.4f}", f"{e.validation_loss:.4f}", f"{e.metrics.get(quality, float('nan')):.4f}")
        for e in record.curve
    ]
    return _table(("epoch", "train loss", "validation loss", objective_label(quality)), cells)


def _table(heading: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    written = [list(map(markdown_text, row)) for row in (heading, *cells)]
    return [f"| {' | '.join(row)} |" for row in (written[0], ["---"] * len(heading), *written[1:])]
