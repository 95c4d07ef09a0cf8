"""The learning curves of all trials in one figure, a colour for each method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from peftsearch.core.escaping import html_text
from peftsearch.report.figures.method_style import style_of
from peftsearch.results.formatting import config_in_words

if TYPE_CHECKING:
    from plotly.graph_objects import Figure, Scatter

    from peftsearch.core.measurement import EpochReport
    from peftsearch.storage.records import Record

Read = Callable[["EpochReport"], float | None]
"""What a figure shows of an epoch."""


def curves_figure(records: Sequence[Record], label: str, read: Read) -> Figure:
    """One line for each trial that has finished an epoch: solid if the trial finished, dotted if it was stopped.

    Args:
        records: the trials.
        label: what the vertical axis is called.
        read: what it shows.
    """
    from plotly.graph_objects import Figure

    groups: dict[tuple[str, bool], list[Record]] = {}
    for record in records:
        if record.config and record.curve:
            groups.setdefault((record.config.method, record.state == "complete"), []).append(record)
    figure, named = Figure(), set()
    for (method, finished), members in sorted(groups.items(), key=lambda item: (item[0][0], not item[0][1])):
        figure.add_trace(_lines(method, finished, members, read).update(showlegend=method not in named))
        named.add(method)
    figure.update_xaxes(title_text="epoch", dtick=1 if max(map(_epochs, records), default=0) <= 20 else None)
    figure.update_yaxes(title_text=html_text(label))
    return figure


def _lines(method: str, finished: bool, members: Sequence[Record], read: Read) -> Scatter:
    """The curves of `members` in one trace; None between two of them lifts the pen."""
    from plotly.graph_objects import Scatter

    x: list[int | None] = []
    y: list[float | None] = []
    hover: list[str] = []
    for record in members:
        settings = config_in_words(record.config) if record.config else ""
        words = html_text(f"trial {record.number}: {method}") + "<br>" + html_text(settings)
        state = "" if finished else f"<br>{html_text(record.state)}"
        x += [*(report.epoch for report in record.curve), None]
        y += [*(read(report) for report in record.curve), None]
        hover += [*(f"<b>{words}</b><br>epoch {report.epoch}{state}" for report in record.curve), ""]
    style = style_of(method)
    return Scatter(
        x=x,
        y=y,
        text=hover,
        name=html_text(method),
        legendgroup=method,
        mode="lines+markers",
        opacity=0.8,
        hovertemplate="%{text}: %{y:.4f}<extra></extra>",
        line={"color": style.colour, "width": 1.5, "dash": "solid" if finished else "dot"},
        marker={"color": style.colour, "symbol": style.marker, "size": 6},
    )


def _epochs(record: Record) -> int:
    return len(record.curve)
