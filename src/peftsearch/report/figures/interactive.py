"""The front as a figure that answers the mouse, drawn by plotly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.escaping import html_text
from peftsearch.report.figures.method_style import style_of
from peftsearch.report.figures.picture import FRONT_LINE, FrontPicture, Mean
from peftsearch.report.figures.points import Kind, Mark, axis_label
from peftsearch.report.on_test import score_on_test

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter


SIZES: dict[Kind, float] = {"on the front": 12, "dominated": 9, "stopped early": 6}
"""The diameter of a marker in pixels."""

KEY = "strong: on the Pareto front · pale: dominated · small: stopped early · hollow: confirmed, on test"


PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
body {{ font-family: sans-serif; margin: 1rem; }}
h1 {{ font-size: 1.1rem; }}
.scrolled {{ overflow-x: auto; }}
.scrolled > div {{ min-width: 50rem; }}
</style></head>
<body><main><h1>{title}</h1><p>{key}</p>
<div class="scrolled" tabindex="0" role="region" aria-label="{title}">{figure}</div></main></body>
</html>
"""
"""The page of a figure, which narrow windows scroll; that of plotly 7.1 says neither its title nor its language."""


def write_html(picture: FrontPicture, file: Path) -> None:
    """Write the front's figure to a page that needs nothing from the network."""
    figure = front_figure(picture).update_layout(title={"text": "", "subtitle": {"text": ""}}, margin={"t": 40})
    drawn = figure.to_html(include_plotlyjs=True, full_html=False, default_height="80vh")
    page = PAGE.format(title=html_text(picture.title), key=html_text(KEY), figure=drawn)
    file.write_text(page, encoding="utf-8")


def front_figure(picture: FrontPicture) -> Figure:
    """Quality against each cost on logarithmic axes. The legend can hide each method."""
    from plotly.subplots import make_subplots

    figure: Figure = make_subplots(rows=1, cols=len(picture.costs), shared_yaxes=True, horizontal_spacing=0.04)
    for method in picture.methods:
        figure.add_trace(_legend_entry(method))
    for column, cost in enumerate(picture.costs, start=1):
        for trace in _traces(picture, cost):
            figure.add_trace(trace, row=1, col=column)
        _draw_axis(figure, picture, cost, column)
    if picture.reference_line:
        height, label = picture.reference_line
        figure.add_hline(height, line={"dash": "dash", "width": 1, "color": "black"})
        # At the left it would touch the label of a tick, and stand where cheap methods do.
        figure.add_annotation(
            x=1, xref="paper", xanchor="right", y=height, yanchor="bottom", text=html_text(label), showarrow=False
        )
    figure.update_yaxes(title_text=html_text(picture.quality_axis()), row=1, col=1)
    figure.update_layout(
        title={"text": html_text(picture.title), "subtitle": {"text": html_text(KEY)}},
        template="plotly_white",
        legend={"itemsizing": "constant"},
    )
    return figure


def _traces(picture: FrontPicture, cost: str) -> Iterator[Scatter]:
    """What is drawn over the others comes last: the trials of the front, then those that were confirmed."""
    yield _line(picture, cost)
    yield from (_of_one_trial(picture, cost, marks) for marks in picture.of_one_trial(cost))
    for kinds in (("stopped early", "dominated"), ("on the front",)):
        for method in picture.methods:
            points = picture.chosen(method, kinds, cost)
            if points:
                yield _method(picture, cost, method, points)
    for method in picture.methods:
        means = [mean for mean in picture.on_test if mean.point.method == method]
        if means:
            yield _means_on_test(picture, cost, method, means)


def _legend_entry(method: str) -> Scatter:
    """A trace without points: a legend otherwise shows the colour of a method's first point, which may be pale."""
    from plotly.graph_objects import Scatter

    style = style_of(method)
    marker = {"symbol": style.marker, "color": style.colour, "size": SIZES["on the front"]}
    return Scatter(x=[None], y=[None], mode="markers", name=html_text(method), legendgroup=method, marker=marker)


def _line(picture: FrontPicture, cost: str) -> Scatter:
    from plotly.graph_objects import Scatter

    line = picture.front_line(cost)
    return Scatter(
        x=picture.at(line, cost),
        y=[point.quality for point in line],
        mode="lines",
        name=FRONT_LINE,
        line={"shape": "hv" if picture.less_is_better(cost) else "vh", "color": "#555555", "width": 1.5},
        hoverinfo="skip",
        showlegend=False,
    )


def _of_one_trial(picture: FrontPicture, cost: str, marks: Sequence[Mark]) -> Scatter:
    """A thin line through the points of one trial."""
    from plotly.graph_objects import Scatter

    method = marks[0].method
    return Scatter(
        x=picture.at(marks, cost),
        y=[mark.quality for mark in marks],
        mode="lines",
        line={"color": style_of(method).pale, "width": 1, "dash": "dot"},
        legendgroup=method,
        hoverinfo="skip",
        showlegend=False,
    )


def _method(picture: FrontPicture, cost: str, method: str, points: Sequence[Mark]) -> Scatter:
    from plotly.graph_objects import Scatter

    style = style_of(method)
    return Scatter(
        x=picture.at(points, cost),
        y=[point.quality for point in points],
        mode="markers",
        name=html_text(method),
        legendgroup=method,
        showlegend=False,
        marker={
            "symbol": style.marker,
            "color": style.colour if points[0].kind == "on the front" else style.pale,
            "size": [SIZES[point.kind] for point in points],
            "line": {"width": 0.5, "color": "white"},
            "opacity": 1,
        },
        text=[_hover(point) for point in points],
        hoverinfo="text",
    )


def _means_on_test(picture: FrontPicture, cost: str, method: str, means: Sequence[Mean]) -> Scatter:
    """The markers once more, hollow, with their intervals."""
    from plotly.graph_objects import Scatter

    style = style_of(method)
    return Scatter(
        x=picture.at([mean.point for mean in means], cost),
        y=[mean.mean for mean in means],
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [mean.above for mean in means],
            "arrayminus": [mean.below for mean in means],
            "thickness": 1,
        },
        mode="markers",
        name=f"{html_text(method)} on test",
        legendgroup=method,
        showlegend=False,
        marker={"color": style.colour, "symbol": f"{style.marker}-open", "size": 11},
        text=[_hover_on_test(mean, picture) for mean in means],
        hoverinfo="text",
    )


def _draw_axis(figure: Figure, picture: FrontPicture, cost: str, column: int) -> None:
    shown = picture.ticks(cost)
    figure.update_xaxes(
        type="log",
        title_text=html_text(axis_label(cost)),
        tickvals=[tick.at for tick in shown],
        ticktext=[tick.text for tick in shown],
        tickangle=0,
        row=1,
        col=column,
    )


def _hover(point: Mark) -> str:
    return "<br>".join([_bold(point), *map(html_text, filter(None, point.words))])


def _hover_on_test(mean: Mean, picture: FrontPicture) -> str:
    return f"{_bold(mean.point)}<br>{html_text(score_on_test(picture.confirmed[mean.point.point]))}"


def _bold(point: Mark) -> str:
    return f"<b>{point.point.in_words}: {html_text(point.method)}</b>, {point.kind}"
