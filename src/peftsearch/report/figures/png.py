"""A front as a .png, drawn by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from peftsearch.core.escaping import visible
from peftsearch.report.figures.picture import GREY, ON_TEST, FrontPicture, axis_label


def write_png(picture: FrontPicture, file: Path) -> None:
    """Draw quality against each cost, side by side."""
    # Figure and canvas are made directly: pyplot would look for a display and keep every figure.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 + 4.5 * len(picture.costs), 4.8), layout="constrained")
    FigureCanvasAgg(figure)
    plots = figure.subplots(1, len(picture.costs), sharey=True, squeeze=False)[0]
    for plot, cost in zip(plots, picture.costs, strict=True):
        _draw_trials(plot, picture, cost)
        _draw_means_on_test(plot, picture, cost)
        _draw_ring(plot, picture, cost)
        _label_costs(plot, cost)
    plots[0].set_ylabel(picture.quality_axis(), parse_math=False)
    figure.suptitle(visible(picture.title), x=0.01, ha="left", fontsize=11, parse_math=False)
    handles, labels = plots[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", frameon=False)
    figure.savefig(file, dpi=150)


def _draw_trials(plot: Any, picture: FrontPicture, cost: str) -> None:
    for name, chosen in picture.groups():
        shown = name in picture.colours
        x, y = picture.places(chosen, cost), picture.heights(chosen)
        colour = picture.colours.get(name, GREY)
        plot.scatter(x, y, s=60 if shown else 24, color=colour, label=name, zorder=3 if shown else 2)
        for row, at, height in zip(chosen, x, y, strict=True):
            if shown:
                offset = {"xytext": (5, 4), "textcoords": "offset points"}
                plot.annotate(str(row.record.number), (at, height), fontsize=8, **offset)


def _draw_means_on_test(plot: Any, picture: FrontPicture, cost: str) -> None:
    """Hollow diamonds with their intervals."""
    tested = picture.tested()
    for row, at in zip(tested, picture.places(tested, cost), strict=True):
        mean, below, above = picture.on_test(row)
        plot.errorbar(
            at, mean, yerr=[[below], [above]], fmt="D", markersize=6, markerfacecolor="white",
            color=picture.colour(row), elinewidth=1, capsize=3, zorder=4, label=ON_TEST if row is tested[0] else None,
        )  # fmt: skip


def _draw_ring(plot: Any, picture: FrontPicture, cost: str) -> None:
    marked = [row for row in picture.rows if row.record.number == picture.marked]
    at, height = picture.places(marked, cost), picture.heights(marked)
    plot.scatter(at, height, s=150, facecolors="none", edgecolors="black", zorder=4)


def _label_costs(plot: Any, cost: str) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plot.set_xscale("log")
    # A decade or less, as times often span, would show a single number with the default ticks.
    plot.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))
    plot.xaxis.set_minor_formatter(NullFormatter())
    plot.tick_params(axis="x", labelrotation=45)
    plot.set_xlabel(axis_label(cost), parse_math=False)
    plot.grid(alpha=0.3)
    plot.spines[["top", "right"]].set_visible(False)


def _tick(value: float) -> str:
    for size, sign in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g} {sign}"
    return f"{value:g}"
