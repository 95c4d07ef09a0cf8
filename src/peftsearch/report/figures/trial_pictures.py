"""Pictures of one trial as .png files: its learning curve and its confusion matrix."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from peftsearch.core.escaping import on_one_line
from peftsearch.core.objectives import find_objective
from peftsearch.report.figures.method_style import style_of
from peftsearch.results.formatting import config_in_words, objective_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from peftsearch.core.measurement import ClassReport
    from peftsearch.storage.records import Record

MOST_NUMBERS = 20
"""A confusion matrix of more classes than this has neither numbers nor names."""

LONGEST_NAME = 24


def curve_png(record: Record, quality: str) -> bytes:
    """The quality of a trial by epoch, and below it the losses."""
    figure = _figure(7.0, 5.6)
    above, below = figure.subplots(2, 1, sharex=True)
    epochs = [report.epoch for report in record.curve]
    scores = [report.metrics.get(quality, float("nan")) for report in record.curve]
    style = style_of(record.config.method) if record.config else style_of("")
    above.plot(epochs, scores, color=style.colour, marker="o", markersize=4)
    above.set_ylabel(f"validation {objective_label(quality)}", parse_math=False)
    if bounds := find_objective(quality).bounds:
        above.set_ylim(*sorted(bounds))
    below.plot(epochs, [report.train_loss for report in record.curve], "o-", color="#0072B2", label="training")
    below.plot(epochs, [report.validation_loss for report in record.curve], "s--", color="#D55E00", label="validation")
    below.set_ylabel("loss")
    below.set_ylim(bottom=0)
    below.set_xlabel("epoch")
    below.xaxis.get_major_locator().set_params(integer=True)
    below.legend(frameon=False)
    best = record.measurement.best_epoch if record.measurement else None
    for plot in (above, below):
        plot.grid(alpha=0.25)
        if best:
            plot.axvline(best, color="#555555", linestyle=":", linewidth=1)
    _title(figure, record, "; dotted: the best epoch" if best else "")
    return _png(figure)


def confusion_png(record: Record, report: ClassReport) -> bytes:
    """How many rows of each true class were taken for which class; shades are shares of the true class."""
    import numpy as np

    matrix = np.array(report.matrix())
    classes, shown = len(matrix), len(matrix) <= MOST_NUMBERS
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 3.6 + (0.42 * classes if shown else 3.0)
    figure = _figure(side + 1.0, side)
    plot = figure.subplots()
    plot.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    plot.set_xlabel("predicted class")
    plot.set_ylabel("true class")
    names = [_clipped(on_one_line(label)) for label in report.labels] if shown else []
    places = range(len(names))
    plot.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    plot.set_yticks(places, names, parse_math=False)
    for true, predicted in np.argwhere(matrix) if shown else ():
        ink = "white" if shares[true, predicted] > 0.5 else "black"
        count = f"{matrix[true, predicted]:,}"
        plot.text(predicted, true, count, ha="center", va="center", color=ink, fontsize=8)
    _title(figure, record, " on the validation rows; shades: share of the true class")
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _title(figure: Figure, record: Record, more: str) -> None:
    config = record.config
    first = f"{record.point.in_words}: {config.method}{more}" if config else f"{record.point.in_words}{more}"
    lines = [first, config_in_words(config)] if config else [first]
    written = "\n".join(on_one_line(line) for line in lines)
    figure.suptitle(written, x=0.01, ha="left", fontsize=9, parse_math=False, wrap=True)


def _clipped(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def _png(figure: Any) -> bytes:
    written = BytesIO()
    figure.savefig(written, format="png", dpi=110)
    return written.getvalue()
