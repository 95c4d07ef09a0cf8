"""Fronts, trials and counts as rich tables: at most 100 columns on a terminal, plain aligned text in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.core.objectives import find_objective
from peftsearch.results.formatting import (
    backbone_in_words,
    config_in_words,
    duration,
    objective_heading,
    objective_in_words,
    objective_label,
    percent,
    varied_training,
    why,
)
from peftsearch.results.front import Row
from peftsearch.results.status import Status

if TYPE_CHECKING:
    from rich.table import Table

    from peftsearch.storage.records import Record

STATE_STYLE = {"complete": "green", "running": "cyan", "pruned": "yellow", "failed": "red", "waiting": "dim"}


def front_table(front: Sequence[Row], objectives: Sequence[str], *, title: str | None = None) -> Table:
    """Rows, best quality first; `vs full` is beside full fine-tuning. Fits 80 columns with one backbone.

    Args:
        front: all of the Pareto front, or also others: a column then says which is which.
    """
    table = plain_table(title)
    several = len({row.config.backbone for row in front}) > 1
    others = not all(row.on_front for row in front)
    table.add_column("trial", justify="right")
    table.add_column("method", no_wrap=True)
    if several:
        table.add_column("backbone", overflow="fold", min_width=8)
    if others:
        table.add_column("front", justify="center")
    table.add_column("settings", ratio=1, min_width=11)
    for name in objectives:
        table.add_column(objective_heading(find_objective(name)), justify="right", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column("params\nvs full", justify="right", no_wrap=True)
    table.add_column("time\nvs full", justify="right", no_wrap=True)
    varied = varied_training(row.config for row in front)
    for row in front:
        table.add_row(
            str(row.record.number),
            row.config.method,
            *([backbone_in_words(row.config.backbone)] if several else []),
            *(["*" if row.on_front else ""] if others else []),
            config_in_words(row.config, varied),
            *(objective_in_words(name, row.objectives[name]) for name in objectives),
            str(row.measurement.epochs),
            percent(row.parameters_share),
            percent(row.time_share),
        )
    return table


def trials_table(records: Sequence[Record], objectives: Sequence[str], quality: str) -> Table:
    """Every trial with its state, and why it ended early if it did."""
    table = plain_table(None)
    table.add_column("trial", justify="right")
    table.add_column("state", no_wrap=True)
    table.add_column("method", no_wrap=True)
    table.add_column("settings", ratio=2, min_width=16)
    table.add_column("epochs", justify="right")
    table.add_column(f"last\n{objective_label(quality)}", justify="right", no_wrap=True)
    table.add_column("reason", ratio=3)
    varied = varied_training(record.config for record in records if record.config)
    for record in records:
        table.add_row(
            str(record.number),
            _styled(record.state),
            record.config.method if record.config else "",
            config_in_words(record.config, varied) if record.config else "",
            str(len(record.curve)),
            _last(record, quality),
            _plain(why(record)),
        )
    return table


def status_table(status: Status) -> Table:
    """Counts by method and state."""
    table = plain_table(None)
    table.add_column("method", no_wrap=True)
    for state in STATE_STYLE:
        table.add_column(state, justify="right")
    for method, counts in status.methods.items():
        table.add_row(method, *(str(counts.get(state, 0) or "–") for state in STATE_STYLE))
    table.add_section()
    table.add_row("all", *(str(status.states.get(state, 0)) for state in STATE_STYLE))
    return table


def running_table(running: Sequence[Record], quality: str) -> Table:
    """What the workers train now."""
    table = plain_table(None)
    for heading in ("trial", "method", "settings", "epoch", objective_label(quality)):
        table.add_column(heading, justify="right" if heading in ("trial", "epoch") else "left")
    for record in running:
        config = record.config
        epoch = f"{len(record.curve)}/{config.training.epochs}" if config else ""
        table.add_row(
            str(record.number),
            config.method if config else "",
            config_in_words(config) if config else "starting",
            epoch,
            _last(record, quality),
        )
    return table


def time_left(status: Status) -> str:
    """The estimate in words, empty without one."""
    return f"about {duration(status.seconds_left)} left" if status.seconds_left else ""


def plain_table(title: str | None) -> Table:
    """A table without columns yet, as all of them look."""
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=0)


def _last(record: Record, quality: str) -> str:
    if not record.curve:
        return ""
    value = record.curve[-1].metrics.get(quality)
    return f"{value:.4f}" if value is not None else ""


def _styled(state: str) -> Any:
    from rich.text import Text

    return Text(state, style=STATE_STYLE[state])


def _plain(text: str) -> Any:
    """Text as it is: what a library's exception puts in square brackets is no markup of ours."""
    from rich.text import Text

    return Text(text)
