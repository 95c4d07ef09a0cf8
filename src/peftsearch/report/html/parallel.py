"""Parallel coordinates: each finished trial is a line through its settings and what it reached with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from peftsearch.core.dimensions import Scalar
from peftsearch.core.escaping import html_text
from peftsearch.core.objectives import is_metric
from peftsearch.report.figures.method_style import style_of
from peftsearch.report.figures.points import axis_label
from peftsearch.results.formatting import objective_in_words, searchable_settings, value_in_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

    from peftsearch.results.front import Row

MOST_SETTINGS = 8
"""Axes for settings: those that most trials have."""


@dataclass(frozen=True)
class Axis:
    """One vertical axis.

    Attributes:
        values: one for each trial; None where the trial has none.
        words: the same as people read them.
        log: whether the axis is logarithmic.
    """

    label: str
    values: Sequence[Scalar | None]
    words: Sequence[str]
    log: bool = False

    def places(self) -> list[float | None]:
        """Where each trial stands, 0..1 from the bottom."""
        known = [value for value in self.values if value is not None]
        if any(isinstance(value, bool | str) for value in known):
            options = sorted({str(value) for value in known})
            return [None if v is None else _share(options.index(str(v)), 0, len(options) - 1) for v in self.values]
        numbers = [None if value is None else self._scaled(float(value)) for value in self.values]
        there = [number for number in numbers if number is not None]
        return [None if number is None else _share(number, min(there), max(there)) for number in numbers]

    def ticks(self) -> dict[float, str]:
        """Place → words, of each option or of the least and the greatest number."""
        ticks = {place: words for place, words in zip(self.places(), self.words, strict=True) if place is not None}
        if any(isinstance(value, bool | str) for value in self.values):
            return ticks
        return {place: words for place, words in ticks.items() if place in (min(ticks), max(ticks))}

    def _scaled(self, value: float) -> float:
        return math.log(value) if self.log and value > 0 else value


def parallel_figure(rows: Sequence[Row], objectives: Sequence[str]) -> Figure:
    """A line for each row, in its method's colour; those that are not on the front are pale.

    Args:
        rows: the finished trials, and the epochs on the front.
        objectives: the study's, by name.
    """
    from plotly.graph_objects import Figure

    axes = [*_settings(rows), *(_objective(rows, name) for name in objectives)]
    groups: dict[tuple[bool, str], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault((row.on_front, row.config.method), []).append(number)
    figure = Figure()
    for (on_front, method), members in sorted(groups.items()):  # the front is drawn last, over all others
        figure.add_trace(_lines(rows, axes, members).update(showlegend=on_front or (True, method) not in groups))
    for at, axis in enumerate(axes):
        figure.add_shape(type="line", x0=at, x1=at, y0=0, y1=1, line={"color": "#888888", "width": 1}, layer="below")
        for place, words in axis.ticks().items():
            figure.add_annotation(
                x=at, y=place, text=html_text(words), showarrow=False, xanchor="left", xshift=4, bgcolor="#FFFFFFCC",
                font={"size": 11},
            )  # fmt: skip
    labels = [html_text(axis.label).replace(" ", "<br>") for axis in axes]
    figure.update_xaxes(tickvals=list(range(len(axes))), ticktext=labels, side="top", showgrid=False, zeroline=False)
    figure.update_xaxes(range=[-0.2, len(axes) - 0.4])
    figure.update_yaxes(visible=False, range=[-0.06, 1.06])
    return figure


def _lines(rows: Sequence[Row], axes: Sequence[Axis], members: Sequence[int]) -> Scatter:
    """The lines of `members`, places in `rows`, in one trace; a line passes by an axis on which its trial has nothing.

    None between two lines lifts the pen.
    """
    from plotly.graph_objects import Scatter

    places = [axis.places() for axis in axes]
    x: list[int | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for member in members:
        name = html_text(f"{rows[member].point.in_words}: {rows[member].config.method}")
        for at, axis in enumerate(axes):
            place = places[at][member]
            if place is not None:
                x.append(at)
                y.append(place)
                hover.append(f"<b>{name}</b><br>{html_text(f'{axis.label}: {axis.words[member]}')}")
        x.append(None)
        y.append(None)
        hover.append("")
    method, on_front = rows[members[0]].config.method, rows[members[0]].on_front
    style = style_of(method)
    return Scatter(
        x=x,
        y=y,
        text=hover,
        hoverinfo="text",
        name=html_text(method),
        legendgroup=method,
        mode="lines+markers",
        line={"color": style.colour if on_front else style.pale, "width": 3 if on_front else 1.5},
        marker={"color": style.colour if on_front else style.pale, "symbol": style.marker, "size": 7},
    )


def _settings(rows: Sequence[Row]) -> list[Axis]:
    """The settings in which trials differ, those of most trials first."""
    settings = [searchable_settings(row.config) for row in rows]
    counts = Counter(name for found in settings for name in found)
    axes = [_setting(name, [found.get(name) for found in settings]) for name, _ in counts.most_common()]
    return [axis for axis in axes if len(set(axis.values) - {None}) > 1][:MOST_SETTINGS]


def _setting(name: str, values: Sequence[Any]) -> Axis:
    words = ["" if value is None else value_in_words(value) for value in values]
    numbers = [value for value in values if isinstance(value, float) and value > 0]
    spread = max(numbers) / min(numbers) if numbers else 1.0
    return Axis(name.replace("_", " "), values, words, log=spread > 30)


def _objective(rows: Sequence[Row], name: str) -> Axis:
    values = [row.objectives[name] for row in rows]
    words = [objective_in_words(name, value) for value in values]
    return Axis(axis_label(name), values, words, log=not is_metric(name) and min(values) > 0)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
