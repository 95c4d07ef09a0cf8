"""The section of a model card that says how good the classifier is: what was measured, where, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from peftsearch.confirm.confirmed import Confirmed
from peftsearch.confirm.statistics import Interval
from peftsearch.core.escaping import markdown_text
from peftsearch.core.measurement import ClassReport, Measurement
from peftsearch.core.points import Point
from peftsearch.export.card.evidence import Evidence
from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import objective_in_words, objective_label
from peftsearch.results.front import whole_trials
from peftsearch.training.checkpoint import Checkpoint

SHOWN = ("macro_f1", "accuracy", "weighted_f1", "macro_precision", "macro_recall")
"""Metrics that every card shows where they were measured, after the one that the search compared trials by."""

MOST_CLASSES = 40
"""Lines of the table of classes; of more classes, the worst are shown."""


def quality_section(kept: Checkpoint, evidence: Evidence) -> str:
    """Markdown: a table of metrics by split, sentences that say what they mean, and a table of the classes."""
    measurement = kept.measurement
    if evidence.all_rows:
        return "\n".join(_unscored(evidence))
    parts = [
        "\n".join(metrics_table(measurement, evidence)),
        "\n".join(f"- {sentence}" for sentence in _sentences(kept, evidence)),
        "\n".join(classes_table(measurement.classes, evidence)) if measurement.classes else "",
    ]
    return "\n\n".join(part for part in parts if part)


def metrics_table(measurement: Measurement, evidence: Evidence) -> list[str]:
    """One line for each metric, one column for each split that was measured."""
    confirmed, names = evidence.confirmed, _metrics(measurement, evidence.metric)
    headings = [f"validation{_rows(measurement.classes)}, seed {measurement.seed}"]
    columns = [[objective_in_words(name, measurement.metrics[name]) for name in names]]
    if confirmed:
        headings.append(f"test{_rows(_test_classes(confirmed))}, {_seeds(confirmed)}")
        columns.append([_test_score(confirmed, name) for name in names])
    lines = [[objective_label(name), *cells] for name, *cells in zip(names, *columns, strict=True)]
    return table(["metric", *headings], lines)


def class_scores(measurement: Measurement, confirmed: Confirmed | None) -> list[tuple[str, float, int]]:
    """Each class with its F1 and its rows: on the test split, mean of all seeds, if that was measured."""
    reports = _test_reports(confirmed) or ([measurement.classes] if measurement.classes else [])
    if not reports:
        return []
    supports = [(score.label, score.support) for score in reports[0].scores()]
    return [(label, f1, rows) for (label, rows), f1 in zip(supports, _mean_f1(reports), strict=True)]


def classes_table(classes: ClassReport, evidence: Evidence) -> list[str]:
    """One line for each class, or for the worst of many."""
    scores, trained = classes.scores(), evidence.training
    worst = sorted(range(len(scores)), key=lambda i: scores[i].f1)[:MOST_CLASSES]
    columns = {
        "class": [score.label for score in scores],
        "training rows": [f"{trained.classes.get(score.label, 0):,}" for score in scores] if trained else [],
        "validation rows": [f"{score.support:,}" for score in scores],
        "validation precision": [f"{score.precision:.3f}" for score in scores],
        "validation recall": [f"{score.recall:.3f}" for score in scores],
        "validation F1": [f"{score.f1:.3f}" for score in scores],
        "test F1": [f"{f1:.3f}" for f1 in _mean_f1(_test_reports(evidence.confirmed))],
    }
    known = {heading: cells for heading, cells in columns.items() if cells}
    heading = "By class" if len(worst) == len(scores) else f"The {MOST_CLASSES} classes with the lowest F1"
    lines = [[cells[i] for cells in known.values()] for i in sorted(worst)]
    return [f"{heading}:", "", *table(list(known), lines)]


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose cells only show text."""
    written = [[markdown_text(cell) for cell in line] for line in (headings, *lines)]
    return [f"| {' | '.join(line)} |" for line in (written[0], ["---"] * len(headings), *written[1:])]


def _sentences(kept: Checkpoint, evidence: Evidence) -> Iterator[str]:
    label, finished = objective_label(evidence.metric), len(whole_trials(evidence.rows))
    trial = [f"this trial among the {finished} finished ones of the search"] if finished > 1 else []
    epoch = ["the epoch whose weights these are"] if METHODS[kept.config.method].takes_steps else []
    if trial or epoch:
        chosen = " and ".join(trial + epoch)
        yield f"The validation rows chose {chosen}, so that the scores on them are optimistic."
    if evidence.searched is not None:
        yield (
            f"The trial was trained again for this export, on {markdown_text(kept.measurement.device)}; in the search "
            f"its {label} on the validation rows was {objective_in_words(evidence.metric, evidence.searched)}."
        )
    yield from _about_the_test_split(kept.point, evidence)


def _about_the_test_split(point: Point, evidence: Evidence) -> Iterator[str]:
    confirmed, openings = evidence.confirmed, evidence.openings
    if openings is None:
        yield "Whether the test split of its study was opened is not recorded here."
    elif not openings:
        yield "The test split of the study has not been opened: it was neither trained on nor measured."
    elif confirmed is None:
        yield f"The test split was opened on {_dates(evidence)}, for other trials; this one was not measured on it."
    else:
        opened = {point for opening in openings for point in opening.points}
        chosen = "; if this one was chosen by its test score, that score is optimistic too" if len(opened) > 1 else ""
        yield (
            f"The search did not see the test split. It was opened on {_dates(evidence)}, for "
            f"{len(opened)} trial{'s' if len(opened) > 1 else ''}{chosen}."
        )
        if confirmed.random:
            yield (
                "The test scores are those of the same configuration, trained with "
                f"{len(confirmed.test)} other seeds ({', '.join(map(str, confirmed.test))}); the weights in this "
                "folder, of the search's own seed, were not measured on the test split themselves."
            )
        yield from _how_sure(evidence, confirmed)
        yield from _among_the_best(point, evidence)


def _how_sure(evidence: Evidence, confirmed: Confirmed) -> Iterator[str]:
    label = objective_label(evidence.metric)
    if _has_ends(confirmed.interval):
        yield (
            f"Behind the test {label} stands its 95 % interval over other seeds, if training is random, and over other "
            "test rows of the same source."
        )
    overstated = confirmed.overstated
    if overstated and _has_ends(overstated):
        amount = _with_interval(evidence.metric, overstated.mean, overstated)
        yield f"The search overstated its {label} by {amount}."


def _among_the_best(point: Point, evidence: Evidence) -> Iterator[str]:
    contenders = evidence.contenders
    others = sorted((other for other in contenders if other != point), key=lambda other: other.order)
    named = others[0].in_words if len(others) == 1 else f"trials {', '.join(map(str, others))}"
    if point in contenders and others:
        near = ", and is the cheapest of those within one standard error of the best mean"
        cheapest = near if point == evidence.cheapest else ""
        yield f"By these scores it may be the best of the confirmed trials, as may {named}{cheapest}."
    elif point in contenders:
        yield "By these scores it is the best of the confirmed trials."
    elif others:
        yield f"By these scores it is not the best of the confirmed trials: that may be {named}."


def _unscored(evidence: Evidence) -> Iterator[str]:
    yield (
        "This classifier was trained again on all training and validation rows, so that no row is left that could "
        "say how good it is: it has no score of its own."
    )
    if evidence.searched is not None:
        yield (
            f"The same configuration, trained on the training rows alone, reached {objective_label(evidence.metric)} "
            f"{objective_in_words(evidence.metric, evidence.searched)} on the validation rows."
        )


def _metrics(measurement: Measurement, first: str) -> list[str]:
    return [name for name in dict.fromkeys((first, *SHOWN)) if name in measurement.metrics]


def _test_score(confirmed: Confirmed, name: str) -> str:
    found = [run.test.metrics[name] for run in confirmed.counted if run.test and name in run.test.metrics]
    if not found:
        return "–"
    return _with_interval(name, sum(found) / len(found), confirmed.interval if name == confirmed.metric else None)


def _with_interval(metric: str, value: float, interval: Interval | None) -> str:
    words = objective_in_words(metric, value)
    if interval is None or interval.low is None or interval.high is None:
        return words
    return f"{words} ({objective_in_words(metric, interval.low)} to {objective_in_words(metric, interval.high)})"


def _has_ends(interval: Interval | None) -> bool:
    return interval is not None and interval.low is not None


def _test_reports(confirmed: Confirmed | None) -> list[ClassReport]:
    return [run.test.classes for run in confirmed.counted if run.test] if confirmed else []


def _test_classes(confirmed: Confirmed) -> ClassReport | None:
    return next(iter(_test_reports(confirmed)), None)


def _mean_f1(reports: Sequence[ClassReport]) -> list[float]:
    """Each class's F1, the mean of several classifiers."""
    by_class = zip(*([score.f1 for score in report.scores()] for report in reports), strict=True)
    return [sum(found) / len(found) for found in by_class]


def _rows(classes: ClassReport | None) -> str:
    return f" ({sum(rows for _, _, rows in classes.cells):,} rows)" if classes else ""


def _seeds(confirmed: Confirmed) -> str:
    if not confirmed.random:
        return "the same whatever the seed"
    return f"mean of {len(confirmed.test)} other seeds" if len(confirmed.test) > 1 else "one other seed"


def _dates(evidence: Evidence) -> str:
    days = dict.fromkeys(datetime.fromisoformat(opening.when).date().isoformat() for opening in evidence.openings or ())
    return ", ".join(days)
