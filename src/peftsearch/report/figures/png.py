"""A front as a .png, drawn by matplotlib."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

from peftsearch.core.escaping import visible
from peftsearch.report.figures.labels import Box, place_labels
from peftsearch.report.figures.method_style import MethodStyle, style_of
from peftsearch.report.figures.picture import FRONT_LINE, ON_TEST, FrontPicture
from peftsearch.report.figures.points import Kind, axis_label

GREY, PALE_GREY = "#555555", "#BBBBBB"

SIZES: dict[Kind, float] = {"on the front": 64.0, "dominated": 42.0, "stopped early": 14.0}
"""The area of a marker in square points."""

ON_TEST_SIZE = 49.0


def _three_arms(up: int) -> list[tuple[float, float]]:
    """The outline of a star with three arms. matplotlib's own, `(3, 1, 0)`, is a plain triangle."""
    turns = [(math.pi * (1 / 2 + step / 3), 0.3 if step % 2 else 1.0) for step in range(7)]
    return [(reach * math.cos(angle), up * reach * math.sin(angle)) for angle, reach in turns]


MARKERS: dict[str, Any] = {
    "circle": "o", "square": "s", "x": "X", "cross": "P", "triangle-up": "^", "triangle-down": "v",
    "triangle-left": "<", "triangle-right": ">", "diamond": "D", "diamond-tall": "d", "star": "*", "pentagon": "p",
    "hexagon": "H", "octagon": "8", "star-triangle-up": _three_arms(1), "star-triangle-down": _three_arms(-1),
    "star-diamond": (4, 1, 0), "star-square": (4, 1, 45), "hexagram": (6, 1, 0),
    "diamond-wide": [(-1, 0), (0, 0.6), (1, 0), (0, -0.6), (-1, 0)],
    "hourglass": [(-1, 1), (1, 1), (-1, -1), (1, -1), (-1, 1)],
    "bowtie": [(-1, 1), (-1, -1), (1, 1), (1, -1), (-1, 1)],
    "triangle-ne": [(-1, 1), (1, 1), (1, -1), (-1, 1)],
    "triangle-sw": [(-1, 1), (-1, -1), (1, -1), (-1, 1)],
    "circle-open": "$\\circ$",
}  # fmt: skip
"""A plotly symbol → the same shape in matplotlib."""

LARGER = {"star": 1.7, "star-triangle-up": 1.6, "star-triangle-down": 1.6, "star-diamond": 2.0, "star-square": 2.0,
          "hexagram": 1.6, "diamond-tall": 1.4, "diamond-wide": 1.4, "diamond": 0.75}  # fmt: skip
"""By how much the area of a marker is multiplied, so that all look equally large."""

LEADER = 16.0
"""A label further from its point than this, in points, gets a line to it."""

MOST_IN_A_COLUMN = 16
DASHES = (0, (5, 4))


def write_png(picture: FrontPicture, file: Path) -> None:
    """Draw quality against each cost, side by side."""
    # Figure and canvas are made directly: pyplot would look for a display and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    layout = ConstrainedLayoutEngine(wspace=0.07)  # else the last number of one axis meets the first of the next
    figure = Figure(figsize=(2.6 + 4.5 * len(picture.costs), 5.0), layout=layout)
    FigureCanvasAgg(figure)
    plots = figure.subplots(1, len(picture.costs), sharey=True, squeeze=False)[0]
    for plot, cost in zip(plots, picture.costs, strict=True):
        _draw_lines(plot, picture, cost)
        _draw_trials(plot, picture, cost)
        _draw_means_on_test(plot, picture, cost)
        _draw_ring(plot, picture, cost)
        _draw_axis(plot, picture, cost)
    plots[0].set_ylabel(picture.quality_axis(), parse_math=False)
    figure.suptitle(visible(picture.title), x=0.01, ha="left", fontsize=11, parse_math=False)
    _draw_legend(figure, picture)
    figure.draw_without_rendering()  # the labels need to know where the points are
    figure.set_layout_engine("none")
    for plot, cost in zip(plots, picture.costs, strict=True):
        _draw_labels(plot, picture, cost)
    figure.savefig(file, dpi=150)


def _draw_lines(plot: Any, picture: FrontPicture, cost: str) -> None:
    line = picture.front_line(cost)
    steps = "steps-post" if picture.less_is_better(cost) else "steps-pre"
    heights = [point.quality for point in line]
    plot.plot(picture.at(line, cost), heights, drawstyle=steps, color=GREY, linewidth=1.2, zorder=2)
    if picture.reference_line:
        plot.axhline(picture.reference_line[0], color="black", linestyle=DASHES, linewidth=1, zorder=1)


def _draw_trials(plot: Any, picture: FrontPicture, cost: str) -> None:
    for marks in picture.of_one_trial(cost):
        heights, colour = [mark.quality for mark in marks], style_of(marks[0].method).pale
        plot.plot(picture.at(marks, cost), heights, color=colour, linewidth=0.9, linestyle=":", zorder=2)
    for method in picture.methods:
        style = style_of(method)
        for kind, size in SIZES.items():
            points = picture.chosen(method, (kind,), cost)
            front = kind == "on the front"
            plot.scatter(
                picture.at(points, cost), [point.quality for point in points], s=_area(style.marker, size),
                marker=_marker(style.marker), color=style.colour if front else style.pale,
                edgecolors="white" if front else style.pale, linewidths=0.6, zorder=5 if front else 3,
            )  # fmt: skip


def _draw_means_on_test(plot: Any, picture: FrontPicture, cost: str) -> None:
    """The markers once more, hollow, with their intervals."""
    for point, mean, below, above in picture.on_test:
        style, at = style_of(point.method), picture.at([point], cost)
        plot.errorbar(at, [mean], yerr=[[below], [above]], color=style.colour, elinewidth=1, capsize=3, zorder=4)
        size, marker = _area(style.marker, ON_TEST_SIZE), _marker(style.marker)
        plot.scatter(at, [mean], s=size, marker=marker, facecolors="white", edgecolors=style.colour, zorder=4)


def _draw_ring(plot: Any, picture: FrontPicture, cost: str) -> None:
    marked = [point for point in picture.points if point.point == picture.marked]
    heights = [point.quality for point in marked]
    plot.scatter(picture.at(marked, cost), heights, s=190, facecolors="none", edgecolors="black", zorder=6)


def _draw_axis(plot: Any, picture: FrontPicture, cost: str) -> None:
    from matplotlib.ticker import NullLocator

    plot.set_xscale("log")
    shown = picture.ticks(cost)
    plot.set_xticks([tick.at for tick in shown], [tick.text for tick in shown])
    plot.xaxis.set_minor_locator(NullLocator())
    plot.set_xlabel(axis_label(cost), parse_math=False)
    plot.grid(alpha=0.25, linewidth=0.6)
    plot.spines[["top", "right"]].set_visible(False)


def _draw_labels(plot: Any, picture: FrontPicture, cost: str) -> None:
    """The name of each trial on the front, at the best of its points there."""
    front = picture.labelled
    places = list(zip(picture.at(front, cost), [point.quality for point in front], strict=True))
    where, unit = _pixels(plot, places), plot.figure.dpi / 72
    # A digit of DejaVu Sans is 0.64 of its size wide.
    sizes = [((0.64 * 8 * len(str(point.point)) + 1) * unit, 9 * unit) for point in front]
    boxes = place_labels(where, sizes, _taken(plot, picture, cost), Box(*plot.bbox.extents))
    for point, place, (x, y), box in zip(front, places, where, boxes, strict=True):
        offset = ((box.left + box.right) / 2 - x, (box.bottom + box.top) / 2 - y)
        far = math.hypot(*offset) > LEADER * unit
        leader = {"arrowstyle": "-", "linewidth": 0.5, "color": GREY, "shrinkA": 0, "shrinkB": 3}
        plot.annotate(
            str(point.point), place, xytext=[pixels / unit for pixels in offset], textcoords="offset points",
            fontsize=8, ha="center", va="center", zorder=7, arrowprops=leader if far else None,
        )  # fmt: skip


def _taken(plot: Any, picture: FrontPicture, cost: str) -> list[Box]:
    """What labels must not cover: points, lines and the intervals of confirmed trials."""
    points, half = picture.against(cost), 4 * plot.figure.dpi / 72
    markers = _pixels(plot, zip(picture.at(points, cost), [point.quality for point in points], strict=True))
    means = [(picture.at([mean.point], cost)[0], mean) for mean in picture.on_test]
    ends = [_pixels(plot, [(x, mean.mean - mean.below), (x, mean.mean + mean.above)]) for x, mean in means]
    line = picture.front_line(cost)
    corners = _pixels(plot, zip(picture.at(line, cost), [point.quality for point in line], strict=True))
    for (x1, y1), (x2, y2) in pairwise(corners):
        turn = (x2, y1) if picture.less_is_better(cost) else (x1, y2)
        ends += [[(x1, y1), turn], [turn, (x2, y2)]]
    if picture.reference_line:
        height = plot.transData.transform([(1.0, picture.reference_line[0])])[0][1]
        ends.append([(plot.bbox.x0, height), (plot.bbox.x1, height)])
    return [
        *(Box(x - half, y - half, x + half, y + half) for x, y in markers),
        *(Box(min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2) + 1, max(y1, y2) + 1) for (x1, y1), (x2, y2) in ends),
    ]


def _pixels(plot: Any, places: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    data = list(places)
    return [(float(x), float(y)) for x, y in plot.transData.transform(data)] if data else []


def _draw_legend(figure: Any, picture: FrontPicture) -> None:
    """On the right which marker is which method; below what sizes, shades and lines mean."""
    from matplotlib.lines import Line2D

    methods = [_handle(visible(method), style_of(method), SIZES["on the front"]) for method in picture.methods]
    columns = 1 + (len(methods) > MOST_IN_A_COLUMN)
    legend = figure.legend(handles=methods, loc="outside right upper", frameon=False, fontsize=9, ncols=columns)
    for text in legend.get_texts():
        text.set_parse_math(False)
    grey = {kind: MethodStyle(GREY if kind == "on the front" else PALE_GREY, "circle") for kind in picture.kinds()}
    key = [_handle(kind, style, SIZES[kind]) for kind, style in grey.items()]
    if picture.on_test:
        key.append(_handle(ON_TEST, MethodStyle(GREY, "circle"), ON_TEST_SIZE, hollow=True))
    if "on the front" in grey:
        key.append(Line2D([], [], color=GREY, linewidth=1.2, label=FRONT_LINE))
    if picture.reference_line:
        key.append(Line2D([], [], color="black", linestyle=DASHES, linewidth=1, label=picture.reference_line[1]))
    figure.legend(handles=key, loc="outside lower left", frameon=False, fontsize=9, ncols=3)


def _handle(label: str, style: MethodStyle, size: float, *, hollow: bool = False) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], linestyle="none", marker=_marker(style.marker), markersize=_area(style.marker, size) ** 0.5,
        color=style.colour, markerfacecolor="white" if hollow else style.colour,
        markeredgecolor=style.colour if hollow else "white", markeredgewidth=0.6, label=label,
    )  # fmt: skip


def _area(marker: str, size: float) -> float:
    return size * LARGER.get(marker, 1.0)


def _marker(name: str) -> Any:
    from matplotlib.path import Path as Outline

    found = MARKERS[name]
    return Outline(found) if isinstance(found, list) else found
