"""What the report of a study says, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from peftsearch.confirm.summary import confirmation
from peftsearch.core.objectives import find_objective, is_metric
from peftsearch.methods.table import METHODS
from peftsearch.recommend.recommendation import Recommendation, recommend_trial
from peftsearch.recommend.sentences import heading, sentences
from peftsearch.report.audit import NOTHING, audit_tables, warnings
from peftsearch.report.confirmation import confirmation_table
from peftsearch.report.confirmation import sentences as confirmation_sentences
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.picture import front_picture
from peftsearch.report.figures.points import axis_label
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.html.blocks import Block, Facts, Grid, Plot, Points, Prose, Section, as_sentence
from peftsearch.report.html.curves import curves_figure
from peftsearch.report.html.mistakes import surest_mistakes
from peftsearch.report.html.parallel import parallel_figure
from peftsearch.report.html.provenance import provenance
from peftsearch.report.on_test import confirmed_points, runs_of, runs_table
from peftsearch.report.study_views import mixed_times, more_trials
from peftsearch.report.tables import front_table, trials_table, what_points_are
from peftsearch.report.trial_details import class_table, confusion_table, settings_table
from peftsearch.results.audit import audit
from peftsearch.results.formatting import objective_label
from peftsearch.results.front import front_counted, front_in_words, shown
from peftsearch.results.importances import importances

if TYPE_CHECKING:
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.core.measurement import EpochReport
    from peftsearch.results.stored_study import StoredStudy

NOT_CONFIRMED = "not confirmed"
"""How the sentence of a recommendation begins that says so."""

CONFIRMED = (
    "It is confirmed: it was trained again with other seeds, and measured on texts that the search has never read."
)


def sections(stored: StoredStudy, texts: int) -> list[Section]:
    """Everything that the report says.

    Args:
        stored: a study with a front.
        texts: how many wrongly labelled texts to show.
    """
    found, chosen = confirmation(stored), recommend_trial(stored)
    named = chosen.point.in_words.capitalize()
    made = [
        Section("answer", "The answer", list(_answer(chosen))),
        Section("front", "The front", list(_front(stored, found))),
        Section("confirmed", "Measured on the test split", list(_confirmed(found))),
        Section("chosen", f"{named} in full", list(_chosen(stored, found, chosen, texts))),
        Section("settings", "Settings and what they reached", list(_settings(stored))),
        Section("curves", "Learning curves", list(_curves(stored))),
        Section("stopped", "What was stopped, and why", list(_stopped(stored))),
        Section("audit", "How far this can be trusted", list(_audit(stored))),
        Section("words", "The words of this page", list(_words(stored))),
        Section("provenance", "Where the numbers come from", [Facts(provenance(stored, found))]),
    ]
    return [section for section in made if section.blocks]


def _answer(chosen: Recommendation) -> Iterator[Block]:
    """The answer in three sentences, then why it is this trial."""
    reached, *rest = sentences(chosen)
    unsure = next((line for line in rest if line.startswith(NOT_CONFIRMED)), CONFIRMED)
    named = heading(chosen).removeprefix(f"{chosen.study}: ")
    yield Prose(" ".join(map(as_sentence, (named, f"It has {reached}", unsure))))
    yield Points([as_sentence(line) for line in rest if line != unsure])


def _front(stored: StoredStudy, found: Confirmation) -> Iterator[Block]:
    rows, confirmed = stored.points(), confirmed_points(found)
    best = [row for row in rows if row.on_front]
    yield Prose(
        f"{front_counted(rows)}: nothing else is at least as good in everything and better in something. The best "
        f"choice among them depends on what a cost is worth to you."
    )
    caption = "Quality against each cost, a point for each trial. Point at one to read its settings."
    yield Plot(caption, front_figure(replace(front_picture(stored), title="")), wide=True)
    yield Grid("The trials on the front, best quality first", front_table(best, stored.objectives, confirmed=confirmed))
    names = what_points_are(row.point for row in best)
    notes = (*front_in_words(rows, stored.objectives, stored.tolerance), *more_trials(stored), *mixed_times(stored))
    for line in (*names, *notes):
        yield Prose(as_sentence(line))
    if stored.reference:
        yield Prose(as_sentence(stored.reference.sentence(stored.quality)))


def _confirmed(found: Confirmation) -> Iterator[Block]:
    if found.rows:
        yield Grid("Trials trained again with other seeds, best on test first", confirmation_table(found))
        yield Points([as_sentence(line) for line in confirmation_sentences(found)])


def _chosen(stored: StoredStudy, found: Confirmation, chosen: Recommendation, texts: int) -> Iterator[Block]:
    record = stored.trial(chosen.point)
    yield Grid("Its settings", settings_table(record))
    runs = runs_of(found, chosen.point)
    if runs:
        yield Grid("Its runs with other seeds", runs_table(runs, found.metric))
    if record.measurement is None or record.measurement.classes is None:
        yield Prose("How each class was labelled is kept of the best epochs of finished trials.")
        return
    yield Grid("Each class of the validation split", class_table(record.measurement.classes))
    caption, table = confusion_table(record.measurement.classes)
    yield Grid(f"On the validation split: {caption}", table)
    if texts:
        mistakes = surest_mistakes(stored, chosen.point, record.measurement, texts)
        if isinstance(mistakes, str):
            yield Prose(f"The texts that it labelled wrongly are not shown: {mistakes}.")
            return
        table = _table(("class", "text"), ("taken for", "text"), ("probability", "number"), ("text", "text"))
        for row in mistakes:
            table.add_row(row.label, row.said, f"{row.probability:.3f}", row.text)
        yield Grid("The validation texts that it was surest of and labelled wrongly", table)


def _settings(stored: StoredStudy) -> Iterator[Block]:
    yield Plot(
        "Each finished trial is a line through its settings and what it reached with them; what is not on the front "
        "is pale.",
        parallel_figure(shown(stored.points()), stored.objectives),
        wide=True,
    )
    found = importances(stored)
    table = _table(("method", "word"), ("setting", "text"), ("importance", "number"))
    for one in found:
        for name, share in (one.shares or {}).items():
            table.add_row(one.method, name, f"{100 * share:.0f} %")
    if table.columns[0].cells:
        label = objective_label(stored.quality)
        yield Grid(f"The share of the differences in {label} that each setting explains (fANOVA)", table)
    reasons: dict[str, list[str]] = {}
    for one in found:
        reasons.setdefault(one.why_not, []).append(f"{one.method} ({one.finished})")
    for why_not, methods in reasons.items():
        if why_not:
            yield Prose(
                f"How much each setting matters was not computed for {', '.join(methods)}: their finished trials, as "
                f"many as the brackets say, are {why_not}."
            )


def _curves(stored: StoredStudy) -> Iterator[Block]:
    known = [record for record in stored.records() if record.curve]
    if not known:
        return
    metric = stored.quality if is_metric(stored.quality) else "macro_f1"
    read = partial(_metric_of, metric)
    label = f"validation {objective_label(metric)}"
    yield Plot(f"The {label} after each epoch; dotted lines were stopped.", curves_figure(known, label, read))
    losses = curves_figure(known, "validation loss", lambda report: report.validation_loss)
    yield Plot("The validation loss after each epoch; dotted lines were stopped.", losses)


def _metric_of(name: str, report: EpochReport) -> float | None:
    return report.metrics.get(name)


def _stopped(stored: StoredStudy) -> Iterator[Block]:
    stopped = [record for record in stored.records() if record.state in ("pruned", "failed")]
    if not stopped:
        yield Prose("Every trial that has ended has finished.")
        return
    yield Prose(
        "A trial is pruned when another one is better in everything than what it can still be expected to reach. A "
        "failed trial could not be trained as it was configured."
    )
    yield Grid("Trials that did not finish", trials_table(stopped, stored.quality))


def _audit(stored: StoredStudy) -> Iterator[Block]:
    found = audit(stored)
    warned = list(warnings(found))
    yield Points([as_sentence(line) for line in warned]) if warned else Prose(as_sentence(NOTHING))
    for caption, table in audit_tables(found):
        yield Grid(as_sentence(caption)[:-1], table)


def _words(stored: StoredStudy) -> Iterator[Block]:
    """The objectives and the methods of this study, in a line each."""
    yield Facts([(axis_label(name), find_objective(name).summary) for name in stored.objectives])
    used = sorted({record.config.method for record in stored.records() if record.config} & METHODS.keys())
    yield Facts([(name, f"{METHODS[name].summary} ({METHODS[name].paper})") for name in used])


def _table(*columns: tuple[str, str]) -> FittedTable:
    table = FittedTable()
    for name, kind in columns:
        table.add_column(name, "number" if kind == "number" else "word" if kind == "word" else "text")
    return table
