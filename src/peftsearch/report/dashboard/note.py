"""The Markdown notes of a study and of its trials, which the dashboard shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import markdown_text
from peftsearch.core.objectives import quality_objective
from peftsearch.core.points import Point
from peftsearch.recommend.recommendation import recommend_trial
from peftsearch.recommend.sentences import heading, sentences
from peftsearch.report.figures.points import axis_label
from peftsearch.report.on_test import cell_on_test, confirmed_points, heading_on_test, score_on_test
from peftsearch.report.tables import what_points_are
from peftsearch.results.feasibility import why_no_front
from peftsearch.results.formatting import (
    config_in_words,
    objective_in_words,
    objective_label,
    objective_with_unit,
    reason_in_words,
    searchable_settings,
    value_in_words,
)
from peftsearch.results.front import front_counted, front_in_words

if TYPE_CHECKING:
    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.results.front import Row
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record

END = "---\n*peftsearch writes what stands above this line, and keeps what you write below it.*"


def with_own_words(ours: str, written: str) -> str:
    """Our note, followed by what a person has written into the note that is there.

    Args:
        ours: what `study_note` or `trial_note` says now.
        written: the note that is there; empty if there is none.
    """
    before, _, theirs = written.rpartition(END)
    own_words = theirs if before or not theirs else f"\n{theirs}"
    return f"{ours}\n\n{END}{own_words}"


def study_note(stored: StoredStudy, found: Confirmation) -> str:
    """Which trial to take and why, the front as a table, and the reference."""
    rows = stored.points()
    front = [row for row in rows if row.on_front]
    if not front:
        return markdown_text(f"{stored.name}: {why_no_front(stored.records())}")
    answer = recommend_trial(stored)
    reference = [stored.reference.sentence(stored.quality)] if stored.reference else []
    names = what_points_are(row.point for row in front)
    lines = [*sentences(answer), *names, *front_in_words(rows, stored.objectives, stored.tolerance), *reference]
    counted = f"{front_counted(rows)}, best quality first:"
    return "\n".join([
        f"**{markdown_text(heading(answer))}**", "",
        *(f"- {markdown_text(line)}" for line in lines), "",
        counted, "", *_front_table(front, stored.objectives, confirmed_points(found), found.metric), "",
        "The plot `front` shows them on logarithmic axes, each method in its own colour and marker. "
        "Every trial has its learning curve, confusion matrix and report as artifacts.",
    ])  # fmt: skip


def _front_table(
    front: Sequence[Row], objectives: Sequence[str], confirmed: Mapping[Point, Confirmed], metric: str
) -> list[str]:
    headings = ["trial", "method", "settings", *map(axis_label, objectives)]
    if confirmed:
        headings.append(heading_on_test(metric))
    return _table(headings, [
        (
            str(row.point), row.config.method, config_in_words(row.config),
            *(objective_in_words(name, row.objectives[name]) for name in objectives),
            *([cell_on_test(confirmed.get(row.point))] if confirmed else []),
        )
        for row in front
    ])  # fmt: skip


def trial_note(
    record: Record, objectives: Sequence[str], confirmed: Iterable[Confirmed] = (), front: Sequence[Point] = ()
) -> str:
    """What the trial is, what it reached in the search and when it was confirmed, its settings and its epochs.

    Args:
        record: the whole trial.
        objectives: the study's, by name.
        confirmed: the trial and those of its epochs that were confirmed.
        front: its points on the front.
    """
    if record.config is None:
        return ""
    reached = [objective_with_unit(name, value, record.measurement) for name, value in record.values.items()]
    for row in confirmed:
        reached.append(f"{f'epoch {row.point.epoch} ' if row.point.epoch else ''}confirmed: {score_on_test(row)}")
    if any(point.epoch for point in front):
        reached.append(f"on the front: {', '.join(map(str, front))}")
    lines = [f"**{markdown_text(record.config.method)}** on {markdown_text(record.config.backbone)}", ""]
    lines += [
        f"- {markdown_text(line)}"
        for line in [*reached, *([f"{record.state}: {reason_in_words(record)}"] if reason_in_words(record) else [])]
    ]
    settings = [(name, value_in_words(value)) for name, value in searchable_settings(record.config).items()]
    lines += ["", *_table(("setting", "value"), settings), ""]
    if record.curve:
        lines += _epochs(record, quality_objective(objectives))
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
