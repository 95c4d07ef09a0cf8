"""Fronts, trials and counts as tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from peftsearch.core.objectives import find_objective, is_metric
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.on_test import cell_on_test, heading_on_test
from peftsearch.results.audit import timings
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
from peftsearch.results.status import Status, life_signs

if TYPE_CHECKING:
    from rich.text import Text

    from peftsearch.confirm.summary import Confirmed
    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record

STATE_STYLE = {"complete": "green", "running": "cyan", "pruned": "yellow", "failed": "red", "waiting": "dim"}


class ConfigurationColumns:
    """The columns with which every table of trials begins: trial, method, backbone if there are several, settings."""

    def __init__(self, table: FittedTable, configs: Collection[TrialConfig]) -> None:
        """Add the columns to `table`; `configs` are the configurations of all its rows."""
        self._several_backbones = len({config.backbone for config in configs}) > 1
        self._varied = varied_training(configs)
        table.add_column("trial", "number")
        table.add_column("method", "word")
        if self._several_backbones:
            table.add_column("backbone")
        table.add_column("settings")

    def cells(self, number: int, config: TrialConfig | None, otherwise: str = "") -> list[str]:
        """The first cells of a trial's row; where it has no configuration yet, its number and `otherwise`."""
        if config is None:
            return [str(number), "", *([""] if self._several_backbones else []), otherwise]
        backbone = [backbone_in_words(config.backbone)] if self._several_backbones else []
        return [str(number), config.method, *backbone, config_in_words(config, self._varied)]


def trials_beginning(
    configs: Collection[TrialConfig], title: str | None = None
) -> tuple[FittedTable, ConfigurationColumns]:
    """A table of trials with its first columns, and what fills them."""
    table = FittedTable(keys=2, title=title)
    return table, ConfigurationColumns(table, configs)


def front_table(
    rows: Sequence[Row],
    objectives: Sequence[str],
    *,
    title: str | None = None,
    confirmed: Mapping[int, Confirmed] = MappingProxyType({}),
) -> FittedTable:
    """Finished trials with their objectives.

    Args:
        rows: the Pareto front, best quality first. If others are among them, a column marks those on the front.
        objectives: the study's, by name.
        title: a line above the table.
        confirmed: number → trial, of those that were confirmed; a column shows their scores on test.
    """
    table, first = trials_beginning([row.config for row in rows], title)
    others = not all(row.on_front for row in rows)
    if others:
        table.add_column("front", "word")
    for name in objectives:
        table.add_column(objective_heading(find_objective(name)), "number")
    on_test = _on_test_column(table, confirmed)
    for heading in ("epochs", "params\nvs full", "time\nvs full"):
        table.add_column(heading, "number")
    for row in rows:
        table.add_row(
            *first.cells(row.record.number, row.config),
            *(["*" if row.on_front else ""] if others else []),
            *(objective_in_words(name, row.objectives[name]) for name in objectives),
            *on_test(row.record.number),
            str(row.measurement.epochs),
            percent(row.parameters_share),
            percent(row.time_share),
        )
    return table


def trials_table(
    records: Sequence[Record], quality: str, confirmed: Mapping[int, Confirmed] = MappingProxyType({})
) -> FittedTable:
    """Every trial with its state, its quality, and why it was pruned or failed.

    Args:
        records: the trials.
        quality: the objective that is shown: of a finished trial its value, of another one the best epoch's so far.
        confirmed: number → trial, of those that were confirmed; a column shows their scores on test.
    """
    table, first = trials_beginning([record.config for record in records if record.config])
    table.add_column("state", "word")
    table.add_column("epochs", "number")
    table.add_column(_so_far(quality), "number")
    on_test = _on_test_column(table, confirmed)
    timed = _timed_column(table, records)
    table.add_column("reason")
    for record in records:
        table.add_row(
            *first.cells(record.number, record.config),
            _styled(record.state),
            str(len(record.curve)),
            quality_so_far(record, quality),
            *on_test(record.number),
            *timed(record.number),
            reason_in_words(record),
        )
    return table


def status_table(status: Status) -> FittedTable:
    """Counts by method and state."""
    table = FittedTable()
    table.add_column("method", "word")
    for state in STATE_STYLE:
        table.add_column(state, "number")
    for method, counts in [*status.methods.items(), ("all", status.states)]:
        if method == "all":
            table.add_section()
        table.add_row(method, *(str(counts.get(state, 0) or "–") for state in STATE_STYLE))
    return table


def running_table(running: Sequence[Record], quality: str) -> FittedTable:
    """The trials that the workers train now."""
    table, first = trials_beginning([record.config for record in running if record.config])
    table.add_column("epoch", "number")
    table.add_column(_so_far(quality), "number")
    table.add_column("age", "number")
    table.add_column("last sign of life")
    for record in running:
        life = life_signs(record)
        table.add_row(
            *first.cells(record.number, record.config, "starting"),
            f"{len(record.curve)}/{record.config.training.epochs}" if record.config else "",
            quality_so_far(record, quality),
            duration(life.age),
            f"{'stale: ' if life.stale else ''}{duration(life.last_sign)} ago",
        )
    return table


def time_left(status: Status) -> str:
    """The estimate of the time left in words; empty if there is none."""
    return f"about {duration(status.seconds_left)} left" if status.seconds_left else ""


def quality_so_far(record: Record, quality: str) -> str:
    """The trial's value of the objective `quality` or, before it is finished, its best epoch's; empty without one."""
    values = [record.values[quality]] if quality in record.values else []
    values = values or [report.metrics[quality] for report in record.curve if quality in report.metrics]
    if not values:
        return ""
    return objective_in_words(quality, (max if find_objective(quality).direction == "maximize" else min)(values))


def _on_test_column(table: FittedTable, confirmed: Mapping[int, Confirmed]) -> Callable[[int], list[str]]:
    """Add the column of the scores on test, if a trial has one; returns what gives its cell for a trial's number."""
    metric = next((row.metric for row in confirmed.values()), None)
    if metric is None:
        return lambda number: []
    table.add_column(heading_on_test(metric), "number")
    return lambda number: [cell_on_test(confirmed.get(number))]


def _timed_column(table: FittedTable, records: Sequence[Record]) -> Callable[[int], list[str]]:
    """Add a column that says what a trial's seconds are, if that differs; returns what gives its cell."""
    words = {number: each for each, numbers in timings(records).items() for number in numbers}
    if not words:
        return lambda number: []
    table.add_column("timed in")
    return lambda number: [words.get(number, "")]


def _so_far(quality: str) -> str:
    """The heading over `quality_so_far`. A cost is known of finished trials only."""
    return f"{objective_label(quality)},\nbest so far" if is_metric(quality) else objective_label(quality)


def _styled(state: str) -> Text:
    from rich.text import Text

    return Text(state, style=STATE_STYLE[state])
