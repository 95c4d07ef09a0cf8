"""Figures that answer the mouse, drawn by plotly: the front, and the learning curve of a trial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.escaping import html_text
from peftsearch.core.objectives import find_objective
from peftsearch.report.figures.picture import GREY, ON_TEST, FrontPicture, axis_label, value
from peftsearch.report.on_test import score_on_test
from peftsearch.results.formatting import config_in_words, objective_in_words, objective_label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

    from peftsearch.results.front import Row
    from peftsearch.storage.records import Record


def write_html(picture: FrontPicture, file: Path) -> None:
    """Write the front's figure to a page that needs nothing from the network."""
    front_figure(picture).write_html(file, include_plotlyjs=True)


def front_figure(picture: FrontPicture) -> Figure:
    """Quality against each cost on logarithmic axes. Each method is one trace, so that the legend can hide it."""
    from plotly.subplots import make_subplots

    figure: Figure = make_subplots(rows=1, cols=len(picture.costs), shared_yaxes=True, horizontal_spacing=0.04)
    for column, cost in enumerate(picture.costs, start=1):
        traces = [_method(picture, cost, name, chosen) for name, chosen in picture.groups()]
        if picture.tested():
            traces.append(_means_on_test(picture, cost))
        for trace in traces:
            figure.add_trace(trace.update(showlegend=column == 1), row=1, col=column)
        figure.update_xaxes(type="log", title_text=html_text(axis_label(cost)), exponentformat="SI", row=1, col=column)
    figure.update_yaxes(title_text=html_text(picture.quality_axis()), row=1, col=1)
    figure.update_layout(title_text=html_text(picture.title), template="plotly_white")
    return figure


def curve_figure(record: Record, quality: str) -> Figure:
    """The losses and the quality of one trial by epoch."""
    from plotly.graph_objects import Figure, Scatter

    epochs = [report.epoch for report in record.curve]
    figure = Figure()
    for name, values, side in (
        ("train loss", [report.train_loss for report in record.curve], "y"),
        ("validation loss", [report.validation_loss for report in record.curve], "y"),
        (html_text(objective_label(quality)), [report.metrics.get(quality) for report in record.curve], "y2"),
    ):
        figure.add_trace(Scatter(x=epochs, y=values, name=name, yaxis=side, mode="lines+markers"))
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


def _method(picture: FrontPicture, cost: str, name: str, chosen: list[Row]) -> Scatter:
    from plotly.graph_objects import Scatter

    shown = name in picture.colours
    return Scatter(
        x=picture.places(chosen, cost),
        y=picture.heights(chosen),
        mode="markers",
        name=name,
        legendgroup=name,
        marker={"color": picture.colours.get(name, GREY), "size": 12 if shown else 7},
        text=[_hover(row, picture) for row in chosen],
        hoverinfo="text",
    )


def _means_on_test(picture: FrontPicture, cost: str) -> Scatter:
    """The confirmed trials as hollow diamonds, with their intervals."""
    from plotly.graph_objects import Scatter

    tested = picture.tested()
    means, below, above = zip(*map(picture.on_test, tested), strict=True)
    return Scatter(
        x=picture.places(tested, cost),
        y=means,
        error_y={
            "type": "data",
            "symmetric": False,
            "array": above,
            "arrayminus": below,
            "thickness": 1,
            "color": "#555555",
        },
        mode="markers",
        name=ON_TEST,
        legendgroup=ON_TEST,
        marker={"color": [picture.colour(row) for row in tested], "symbol": "diamond-open", "size": 11},
        text=[_hover_on_test(row, picture) for row in tested],
        hoverinfo="text",
    )


def _hover(row: Row, picture: FrontPicture) -> str:
    names = picture.objectives
    numbers = [f"{objective_label(name)}: {objective_in_words(name, value(row, name))}" for name in names]
    return "<br>".join([_bold(row), *map(html_text, [config_in_words(row.config), *numbers])])


def _hover_on_test(row: Row, picture: FrontPicture) -> str:
    return f"{_bold(row)}<br>{html_text(score_on_test(picture.confirmed[row.record.number]))}"


def _bold(row: Row) -> str:
    return f"<b>trial {row.record.number}: {html_text(row.config.method)}</b>"
