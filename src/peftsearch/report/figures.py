"""Figures: quality against every cost, and the learning curve of a trial.

matplotlib draws a `.png`, because plotly would need a Chrome browser for it; plotly draws a `.html` and the dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError
from peftsearch.core.escaping import html_text, visible
from peftsearch.core.objectives import find_objective, is_metric, is_quality, quality_objective
from peftsearch.results.formatting import config_in_words, objective_in_words, objective_label
from peftsearch.results.front import Row

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from peftsearch.storage.records import Record

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#F0E442")
"""Colours for every kind of colour vision. Source: Okabe and Ito, "Color universal design" (2008)."""

GREY = "#BBBBBB"


def save_front(
    rows: Sequence[Row], objectives: Sequence[str], title: str, file: Path, marked: int | None = None
) -> None:
    """Draw quality against each cost to a file.

    Args:
        rows: every finished trial; those that are not on the front are drawn in grey.
        objectives: the study's, by name.
        title: a line above the figure.
        file: a .png or .html file; its folder is created.
        marked: the number of a trial that a .png shows with a ring.

    Raises:
        UserError: the file's ending is neither .png nor .html, there is nothing to draw, or it cannot be written.
    """
    if file.suffix.lower() not in WRITERS:
        raise UserError(f"--plot {file}: cannot draw {file.suffix or 'a file without an ending'}; use .png or .html")
    if not rows:
        raise UserError("nothing to plot yet: no trial has finished")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[file.suffix.lower()](rows, objectives, title, file, marked)
    except OSError as error:
        raise UserError(f"--plot {file}: cannot be written ({error.strerror}); choose another file") from None


def costs(objectives: Sequence[str]) -> list[str]:
    """The objectives that are no quality; parameters and time if the study has no other."""
    quality = quality_objective(objectives)
    others = [name for name in objectives if name != quality and not is_quality(name)]
    return others or ["trainable_parameters", "train_seconds"]


def front_figure(rows: Sequence[Row], objectives: Sequence[str], title: str) -> Figure:
    """Quality against each cost on logarithmic axes. Each method is one trace, so that the legend can hide it."""
    from plotly.graph_objects import Scatter
    from plotly.subplots import make_subplots

    quality, axes, colours = quality_objective(objectives), costs(objectives), _colours(rows)
    figure: Figure = make_subplots(rows=1, cols=len(axes), shared_yaxes=True, horizontal_spacing=0.04)
    for column, cost in enumerate(axes, start=1):
        for name, chosen in _groups(rows):
            trace = Scatter(
                x=_places(chosen, cost, rows),
                y=[_read(row, quality) for row in chosen],
                mode="markers",
                name=name,
                legendgroup=name,
                showlegend=column == 1,
                marker={"color": colours.get(name, GREY), "size": 7 if name not in colours else 12},
                text=[_hover(row, objectives) for row in chosen],
                hoverinfo="text",
            )
            figure.add_trace(trace, row=1, col=column)
        figure.update_xaxes(type="log", title_text=html_text(axis_label(cost)), exponentformat="SI", row=1, col=column)
    figure.update_yaxes(title_text=html_text(axis_label(quality)), row=1, col=1)
    figure.update_layout(title_text=html_text(title), template="plotly_white")
    return figure


def curve_figure(record: Record, quality: str) -> Figure:
    """The losses and the quality of one trial by epoch."""
    from plotly.graph_objects import Figure, Scatter

    epochs = [report.epoch for report in record.curve]
    figure = Figure()
    for name, values, axis in (
        ("train loss", [report.train_loss for report in record.curve], "y"),
        ("validation loss", [report.validation_loss for report in record.curve], "y"),
        (html_text(objective_label(quality)), [report.metrics.get(quality) for report in record.curve], "y2"),
    ):
        figure.add_trace(Scatter(x=epochs, y=values, name=name, yaxis=axis, mode="lines+markers"))
    described = f"{record.config.method}: {config_in_words(record.config)}" if record.config else ""
    figure.update_layout(
        title_text=html_text(f"Trial {record.number} {described}"),
        template="none",  # the default one is 7 kB in every figure that a storage keeps
        xaxis={"title": {"text": "epoch"}, "dtick": 1},
        yaxis={"title": {"text": "loss"}, "rangemode": "tozero"},
        yaxis2={
            "title": {"text": html_text(objective_label(quality))},
            "overlaying": "y",
            "side": "right",
            "range": find_objective(quality).bounds,
        },
    )
    return figure


def _places(chosen: Sequence[Row], cost: str, rows: Sequence[Row]) -> list[float]:
    """The costs of the `chosen` rows on a logarithmic axis, where zero is drawn at half of the least positive cost."""
    least = min((value for row in rows if (value := _read(row, cost)) > 0), default=1.0)
    return [_read(row, cost) or least / 2 for row in chosen]


def _write_html(rows: Sequence[Row], objectives: Sequence[str], title: str, file: Path, _: int | None) -> None:
    front_figure(rows, objectives, title).write_html(file, include_plotlyjs=True)


def _write_png(rows: Sequence[Row], objectives: Sequence[str], title: str, file: Path, marked: int | None) -> None:
    # Figure and canvas are made directly: pyplot would look for a display and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes, colours = costs(objectives), _colours(rows)
    figure = Figure(figsize=(1.5 + 4.5 * len(axes), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    plots = figure.subplots(1, len(axes), sharey=True, squeeze=False)[0]
    for plot, cost in zip(plots, axes, strict=True):
        _draw(plot, rows, cost, quality_objective(objectives), colours)
        ringed = [row for row in rows if row.record.number == marked]
        at, height = _places(ringed, cost, rows), [_read(row, quality_objective(objectives)) for row in ringed]
        plot.scatter(at, height, s=150, facecolors="none", edgecolors="black", zorder=4)
    plots[0].set_ylabel(axis_label(quality_objective(objectives)), parse_math=False)
    figure.suptitle(visible(title), x=0.01, ha="left", fontsize=11, parse_math=False)
    handles, labels = plots[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.savefig(file, dpi=150)


def _draw(plot: Any, rows: Sequence[Row], cost: str, quality: str, colours: dict[str, str]) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name, chosen in _groups(rows):
        shown = name in colours
        x, y = _places(chosen, cost, rows), [_read(row, quality) for row in chosen]
        plot.scatter(x, y, s=60 if shown else 24, color=colours.get(name, GREY), label=name, zorder=3 if shown else 2)
        for row, at, height in zip(chosen, x, y, strict=True):
            if shown:
                offset = {"xytext": (5, 4), "textcoords": "offset points"}
                plot.annotate(str(row.record.number), (at, height), fontsize=8, **offset)
    plot.set_xscale("log")
    # A decade or less, as times often span, would show a single number with the default ticks.
    plot.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.tick_params(axis="x", labelrotation=45)
    plot.set_xlabel(axis_label(cost), parse_math=False)
    plot.grid(alpha=0.3)
    plot.spines[["top", "right"]].set_visible(False)


WRITERS = {".png": _write_png, ".html": _write_html}


def _groups(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """The dominated trials first, so that they are drawn under the others, then the trials on the front by method."""
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.on_front, row.config.method)):
        groups.setdefault(row.config.method if row.on_front else "dominated", []).append(row)
    return list(groups.items())


def _colours(rows: Sequence[Row]) -> dict[str, str]:
    """A colour for each method on the front."""
    methods = sorted({row.config.method for row in rows if row.on_front})
    return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}


def _read(row: Row, name: str) -> float:
    return row.objectives.get(name, find_objective(name).read(row.measurement))


def axis_label(name: str) -> str:
    """What an axis of the figures is called: the objective with its unit."""
    words, unit = objective_label(name), find_objective(name).unit
    if is_metric(name):
        return f"validation {words}"
    return f"{words} {unit}" if unit == "parameters" else f"{words} ({unit})"


def _tick(value: float) -> str:
    for size, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {sign}"
    return f"{value:g}"


def _hover(row: Row, objectives: Sequence[str]) -> str:
    numbers = [f"{objective_label(name)}: {objective_in_words(name, _read(row, name))}" for name in objectives]
    heading = f"<b>trial {row.record.number}: {row.config.method}</b>"
    return "<br>".join([heading, *map(html_text, [config_in_words(row.config), *numbers])])
