"""One trial in full, as `trial` prints it for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import visible
from peftsearch.core.objectives import is_metric
from peftsearch.core.points import Point
from peftsearch.report.fitted_table import LONGEST_WORD, FittedTable
from peftsearch.report.on_test import confirmed_points, runs_of, runs_table, score_on_test
from peftsearch.report.paragraph import Paragraph
from peftsearch.results.formatting import (
    count_in_words,
    objective_label,
    objective_with_unit,
    reason_in_words,
    searchable_settings,
    value_in_words,
)

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.confirm.summary import Confirmation
    from peftsearch.core.measurement import ClassReport, Measurement
    from peftsearch.storage.records import Record


NAMED_COLUMNS = 6
"""A confusion matrix of up to this many classes has their names over its columns; a larger one has their numbers."""

MATRIX_WIDTH = 96
"""The characters that a confusion matrix may be wide; of a wider one, only the most frequent errors are listed."""

SHORTEST_NAME, LONGEST_NAME = 6, 14

LARGEST_ERRORS = 20

TITLE = "confusion matrix, a row for each true class and a column for each predicted one"


def trial_details(
    record: Record,
    objectives: Sequence[str],
    weights: str | None,
    found: Confirmation | None = None,
    front: Collection[Point] = (),
) -> list[RenderableType]:
    """A trial's results, or those that it had after an epoch, with all that is known of it.

    These are its settings, learning curve, scores by class, runs with other seeds, and traceback.

    Args:
        record: the trial, or the trial as it was after an epoch.
        objectives: the study's, by name.
        weights: where its weights are kept, if they are.
        found: what confirming the study has found.
        front: the points on the front.
    """
    from rich.text import Text

    confirmed = confirmed_points(found).get(record.point) if found else None
    runs = runs_of(found, record.point) if found else ()
    heading, *lines = _summary(record, weights, confirmed)
    parts: list[RenderableType] = [Paragraph(heading), *(Paragraph(line, indent=2) for line in lines)]
    if record.config:
        parts += ["settings:", settings_table(record)]
    if record.curve:
        parts += ["epochs:", curve_table(record, objectives, front)]
    report = record.measurement.classes if record.measurement else None
    if report:
        parts += ["classes on the validation split:", class_table(report), *confusion(report)]
    if found and runs:
        parts += ["trained again with other seeds, and measured on the test split:", runs_table(runs, found.metric)]
    if record.failure and record.failure.get("traceback"):
        parts += ["traceback:", Text(visible(record.failure["traceback"].rstrip()))]
    return parts


def curve_table(record: Record, objectives: Sequence[str], front: Collection[Point] = ()) -> FittedTable:
    """One row for each epoch, with whether it is on the front; trainable parameters are shown only if they change."""
    names = [*filter(is_metric, objectives), "macro_f1", "accuracy"]
    shown = [name for name in dict.fromkeys(names) if all(name in report.metrics for report in record.curve)]
    varies = len({report.trainable_parameters for report in record.curve}) > 1
    headings = ["epoch", "train loss", "validation loss", *map(objective_label, shown), "train s", "evaluation s"]
    table = _table(*headings, *(["trainable parameters"] if varies else []), "")
    best = record.measurement.best_epoch if record.measurement and record.epoch is None else None
    for report in record.curve:
        table.add_row(
            str(report.epoch),
            *(f"{loss:.4f}" for loss in (report.train_loss, report.validation_loss)),
            *(f"{report.metrics[name]:.4f}" for name in shown),
            *(f"{seconds:.2f}" for seconds in (report.train_seconds, report.evaluation_seconds)),
            *([f"{report.trainable_parameters:,}"] if varies else []),
            ", ".join(
                [
                    *(["best"] if report.epoch == best else []),
                    *(["on the front"] if Point(record.number, report.epoch) in front else []),
                ]
            ),
        )
    return table


def class_table(report: ClassReport) -> FittedTable:
    """Precision, recall, F1 and number of rows of each class."""
    table = _table("class", "precision", "recall", "F1", "rows", left=1)
    for score in report.scores():
        numbers = (f"{value:.4f}" for value in (score.precision, score.recall, score.f1))
        table.add_row(score.label, *numbers, f"{score.support:,}")
    return table


def confusion(report: ClassReport) -> list[RenderableType]:
    """The confusion matrix under its heading, as `confusion_table` gives them."""
    title, table = confusion_table(report)
    return [f"{title}:", table]


def confusion_table(report: ClassReport) -> tuple[str, FittedTable]:
    """The confusion matrix, or its most frequent errors if there are too many classes to show it, with what it is."""
    words = (word for label in report.labels for word in label.split())
    if len(report.labels) <= NAMED_COLUMNS and max(map(len, words), default=0) <= LONGEST_WORD:
        return TITLE, _named_matrix(report)  # whose headings break between words only
    columns = zip(*report.matrix(), strict=True)
    widths = [max(2, *(len(str(rows)) for rows in column)) + 1 for column in columns]
    room = MATRIX_WIDTH - sum(widths) - len(str(len(widths)))
    if room < SHORTEST_NAME:
        return "most frequent errors", _errors_table(report)
    return TITLE, _numbered_matrix(report, min(room, LONGEST_NAME))


def _summary(record: Record, weights: str | None, confirmed: Confirmed | None) -> list[str]:
    heading = f"{record.point.in_words}: {record.state if record.epoch is None else 'as it was then'}"
    lines = [f"{heading}, {record.config.method} on {record.config.backbone}" if record.config else heading]
    lines += [objective_with_unit(name, value, record.measurement) for name, value in record.values.items()]
    if confirmed:
        lines.append(f"confirmed: {score_on_test(confirmed)}")
    if reason_in_words(record):
        lines.append(reason_in_words(record))
    lines += [f"constraint {check}" for check in record.checks if not check.broken]
    if record.measurement:
        lines += _circumstances(record.measurement, record)
    if record.state == "complete":
        lines.append(f"weights: {weights or 'not kept, because only those of the front are'}")
    return lines


def _circumstances(measurement: Measurement, record: Record) -> list[str]:
    parameters = [count_in_words(n) for n in (measurement.trainable_parameters, measurement.total_parameters)]
    return [
        f"{_epochs(measurement, record)}, seed {measurement.seed}",
        _timed_in(measurement),
        *_frozen_prefix(measurement),
        f"{parameters[0]} of {parameters[1]} parameters trained",
        f"on {measurement.device} in {measurement.precision}{_threads(measurement)}, "
        f"{measurement.micro_batch_size} rows per forward pass, peak memory {measurement.peak_memory_mb:,.0f} MiB",
        *(["exact: without the speed-ups that change results"] if measurement.exact else []),
    ]


def _threads(measurement: Measurement) -> str:
    if measurement.threads is None:
        return ""
    return f" with {measurement.threads} CPU thread{'' if measurement.threads == 1 else 's'}"


def _epochs(measurement: Measurement, record: Record) -> str:
    if record.epoch is not None and record.config:
        return f"after epoch {record.epoch} of a schedule of {record.config.training.epochs}"
    if not measurement.epochs:
        return "fitted without epochs"
    return f"best epoch {measurement.best_epoch} of {measurement.epochs}"


def _timed_in(measurement: Measurement) -> str:
    wall, searched = measurement.wall_seconds, measurement.searched_train_seconds
    said = f"times in {measurement.timed_in}"
    if wall is not None and measurement.clock != "wall":
        said += f"; training took {wall:.2f} s by the wall clock"
    if searched is not None:
        said += f"; the train time was measured again, alone, and was {searched:.2f} s in the search"
    if measurement.scaled_by is not None:
        said += (
            f"; the train time was {measurement.own_train_seconds:.2f} s, and is multiplied by"
            f" {measurement.scaled_by:.2f} to be that of the study's reference device"
        )
    return said


def _frozen_prefix(measurement: Measurement) -> list[str]:
    if not measurement.prefix_seconds or measurement.searched_train_seconds is not None:
        return []  # measured again, the time of the first epoch holds another number of seconds for the pass
    return [
        f"the train time of epoch 1 includes {measurement.prefix_seconds:.2f} s for the pass through the frozen "
        "layers, whose results the later epochs reuse"
    ]


def settings_table(record: Record) -> FittedTable:
    """Every setting of a trial that has a configuration."""
    assert record.config is not None
    table = _table("setting", "value", left=2)
    for name, value in searchable_settings(record.config).items():
        table.add_row(name, value_in_words(value))
    return table


def _named_matrix(report: ClassReport) -> FittedTable:
    table = _table("", *report.labels, left=1)
    for place, (name, row) in enumerate(zip(report.labels, report.matrix(), strict=True)):
        table.add_row(name, *_cells(row, place))
    return table


def _numbered_matrix(report: ClassReport, name_length: int) -> FittedTable:
    table = _table("", "", *map(str, range(1, len(report.labels) + 1)), left=2, keys=2)
    for place, (label, row) in enumerate(zip(report.labels, report.matrix(), strict=True)):
        table.add_row(str(place + 1), _clipped(label, name_length), *_cells(row, place))
    return table


def _cells(row: Sequence[int], diagonal: int) -> list[Text]:
    from rich.text import Text

    return [Text(str(rows) if rows else "·", "bold" if at == diagonal else "") for at, rows in enumerate(row)]


def _errors_table(report: ClassReport) -> FittedTable:
    errors = sorted((-rows, true, predicted) for true, predicted, rows in report.cells if true != predicted)
    table = _table("class", "taken for", "rows", left=2)
    for rows, true, predicted in errors[:LARGEST_ERRORS]:
        table.add_row(report.labels[true], report.labels[predicted], f"{-rows:,}")
    return table


def _clipped(name: str, length: int) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def _table(*headings: str, left: int = 0, keys: int = 1) -> FittedTable:
    """A table of numbers, but for the texts in its first `left` columns."""
    table = FittedTable(keys=keys)
    for place, heading in enumerate(headings):
        table.add_column(heading, "text" if place < left else "number")
    return table
