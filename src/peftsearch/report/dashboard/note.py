"""The Markdown note of a trial, which the dashboard shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import markdown_text
from peftsearch.core.objectives import quality_objective
from peftsearch.report.on_test import score_on_test
from peftsearch.results.formatting import (
    objective_label,
    objective_with_unit,
    reason_in_words,
    searchable_settings,
    value_in_words,
)

if TYPE_CHECKING:
    from peftsearch.confirm.summary import Confirmed
    from peftsearch.storage.records import Record

END = "---\n*peftsearch writes what stands above this line, and keeps what you write below it.*"


def note_with_own_words(
    record: Record, objectives: Sequence[str], written: str, confirmed: Confirmed | None = None
) -> str:
    """The trial's note, followed by what a person has written into the note that is there.

    Args:
        record: the trial.
        objectives: the study's, by name.
        written: the note that is there; empty if there is none.
        confirmed: the trial's runs with other seeds, if it was confirmed.
    """
    ours, _, theirs = written.rpartition(END)
    own_words = theirs if ours or not theirs else f"\n{theirs}"
    return f"{trial_note(record, objectives, confirmed)}\n\n{END}{own_words}"


def trial_note(record: Record, objectives: Sequence[str], confirmed: Confirmed | None = None) -> str:
    """What the trial is, what it reached in the search and when it was confirmed, its settings and its epochs."""
    if record.config is None:
        return ""
    reached = [objective_with_unit(name, value) for name, value in record.values.items()]
    if confirmed:
        reached.append(f"confirmed: {score_on_test(confirmed)}")
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
