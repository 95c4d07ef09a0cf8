"""Fronts, trials and counts as rich tables of at most 100 columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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
    reason_in_words,
    varied_training,
)
from peftsearch.results.front import Row
from peftsearch.results.status import Status

if TYPE_CHECKING:
    from rich.table import Table

    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record

STATE_STYLE = {"complete": "green", "running": "cyan", "pruned": "yellow", "failed": "red", "waiting": "dim"}


class ConfigurationColumns:
    """The columns with which every table of trials begins: trial, method, backbone if there are several, settings."""

    def __init__(self, table: Table, configs: Collection[TrialConfig]) -> None:
        """Add the columns to `table`; `configs` are the configurations of all its rows."""
        self._several_backbones = len({config.backbone for config in configs}) > 1
        self._varied = varied_training(configs)
        table.add_column("trial", justify="right")
        table.add_column("method", no_wrap=True)
        if self._several_backbones:
            table.add_column("backbone", overflow="fold", min_width=8)
        table.add_column("settings", ratio=1, min_width=11)

    def cells(self, number: int, config: TrialConfig | None) -> list[str]:
        """The first cells of a trial's row; only its number where it has no configuration yet."""
        if config is None:
            return [str(number), "", *([""] if self._several_backbones else []), ""]
        backbone = [backbone_in_words(config.backbone)] if self._several_backbones else []
        return [str(number), config.method, *backbone, config_in_words(config, self._varied)]


def front_table(rows: Sequence[Row], objectives: Sequence[str], *, title: str | None = None) -> Table:
    """Finished trials with their objectives. With one backbone, the table fits 80 columns.

    Args:
        rows: the Pareto front, best quality first. If others are among them, a column marks those on the front.
        objectives: the study's, by name.
        title: a line above the table.
    """
    table, others = plain_table(title), not all(row.on_front for row in rows)
    first = ConfigurationColumns(table, [row.config for row in rows])
    if others:
        table.add_column("front", justify="center")
    for name in objectives:
        table.add_column(objective_heading(find_objective(name)), justify="right", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column("params\nvs full", justify="right", no_wrap=True)
    table.add_column("time\nvs full", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            *first.cells(row.record.number, row.config),
            *(["*" if row.on_front else ""] if others else []),
            *(objective_in_words(name, row.objectives[name]) for name in objectives),
            str(row.measurement.epochs),
            percent(row.parameters_share),
            percent(row.time_share),
        )
    return table


def trials_table(records: Sequence[Record], quality: str) -> Table:
    """Every trial with its state, and why it was pruned or failed.

    Args:
        records: the trials.
        quality: the metric whose last value is shown.
    """
    table = plain_table(None)
    first = ConfigurationColumns(table, [record.config for record in records if record.config])
    table.add_column("state", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column(f"last\n{objective_label(quality)}", justify="right", no_wrap=True)
    table.add_column("reason", ratio=1)
    for record in records:
        table.add_row(
            *first.cells(record.number, record.config),
            _styled(record.state),
            str(len(record.curve)),
            _last(record, quality),
            _plain(reason_in_words(record)),
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
    """The trials that the workers train now."""
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
    """The estimate of the time left in words; empty if there is none."""
    return f"about {duration(status.seconds_left)} left" if status.seconds_left else ""


def plain_table(title: str | None) -> Table:
    """A table without columns, in the look that all tables share."""
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
    """Text that rich does not read as markup: a library's exception may hold square brackets."""
    from rich.text import Text

    return Text(text)
