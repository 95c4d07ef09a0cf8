"""Fronts, trials and counts as tables."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from peftsearch.core.objectives import find_objective, is_metric
from peftsearch.core.points import Point
from peftsearch.report.fitted_table import FittedTable
from peftsearch.report.on_test import cell_on_test, heading_on_test
from peftsearch.results.formatting import (
    backbone_in_words,
    config_in_words,
    duration,
    objective_heading,
    objective_in_words,
    objective_label,
    percent,
    reason_in_words,
    scaled_mark,
    varied_training,
)
from peftsearch.results.front import Row, best_of_trials
from peftsearch.results.status import Status, life_signs
from peftsearch.results.times.kinds import timings

if TYPE_CHECKING:
    from rich.text import Text

    from peftsearch.confirm.confirmed import Confirmed
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

    def cells(self, point: Point, config: TrialConfig | None, otherwise: str = "") -> list[str]:
        """The first cells of a row; where a trial has no configuration yet, its number and `otherwise`."""
        if config is None:
            return [str(point), "", *([""] if self._several_backbones else []), otherwise]
        backbone = [backbone_in_words(config.backbone)] if self._several_backbones else []
        return [str(point), config.method, *backbone, config_in_words(config, self._varied)]


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
    confirmed: Mapping[Point, Confirmed] = MappingProxyType({}),
) -> FittedTable:
    """Points with their objectives, a row for each trial: the best of its points, and which others there are.

    Args:
        rows: the Pareto front, best quality first. If others are among them, a column marks those on the front.
        objectives: the study's, by name.
        title: a line above the table.
        confirmed: those points that were confirmed; a column shows their scores on test.
    """
    table, first = trials_beginning([row.config for row in rows], title)
    others, best = not all(row.on_front for row in rows), best_of_trials(rows)
    if others:
        table.add_column("front", "word")
    for name in objectives:
        table.add_column(objective_heading(find_objective(name)), "number")
    on_test = _on_test_column(table, confirmed)
    table.add_column("epochs", "number")
    parameters_share = _share_column(table, "params\nvs full", {row.point: row.parameters_share for row in best})
    time_share = _share_column(table, "time\nvs full", {row.point: row.time_share for row in best})
    also = _also_column(table, rows, best)
    for row in best:
        table.add_row(
            *first.cells(row.point, row.config),
            *(["*" if row.on_front else ""] if others else []),
            *(_value(row, name) for name in objectives),
            *on_test(row.point),
            str(row.measurement.epochs),
            *parameters_share(row.point),
            *time_share(row.point),
            *also(row.point),
        )
    return table


def _value(row: Row, name: str) -> str:
    """A point's value of an objective, marked if it was not measured in these seconds."""
    return scaled_mark(name, row.measurement) + objective_in_words(name, row.objectives[name])


def what_points_are(points: Iterable[Point]) -> list[str]:
    """One line on what a name such as `7@3` means, if one of the points has such a name."""
    example = next((point for point in points if point.epoch is not None), None)
    if example is None:
        return []
    return [f"{example} is trial {example.trial} as it was after its epoch {example.epoch}; --trial {example} names it"]


def trials_table(
    records: Sequence[Record],
    quality: str,
    confirmed: Mapping[Point, Confirmed] = MappingProxyType({}),
    front: Iterable[Point] = (),
) -> FittedTable:
    """Every trial with its state, its quality, and why it was pruned or failed.

    Args:
        records: the trials.
        quality: the objective that is shown: of a finished trial its value, of another one the best epoch's so far.
        confirmed: those points that were confirmed; a column shows their scores on test.
        front: the points on the front; a column shows them if epochs are among them.
    """
    points = sorted(front, key=lambda point: point.order)
    table, first = trials_beginning([record.config for record in records if record.config])
    table.add_column("state", "word")
    table.add_column("epochs", "number")
    table.add_column(_so_far(quality), "number")
    on_test = _on_test_column(table, confirmed)
    timed = _timed_column(table, records)
    with_epochs = any(point.epoch for point in points)
    if with_epochs:
        table.add_column("on the front")
    table.add_column("reason")
    for record in records:
        table.add_row(
            *first.cells(record.point, record.config),
            _styled(record.state),
            str(len(record.curve)),
            quality_so_far(record, quality),
            *on_test(record.point),
            *timed(record.number),
            *([", ".join(str(point) for point in points if point.trial == record.number)] if with_epochs else []),
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
            *first.cells(record.point, record.config, "starting"),
            f"{len(record.curve)}/{record.config.training.epochs}" if record.config else "",
            quality_so_far(record, quality),
            duration(life.age),
            f"{'stale: ' if life.stale else ''}{duration(life.last_sign)} ago",
        )
    return table


def time_left(status: Status) -> str:
    """The estimate of the time left in words; empty if there is none."""
    return f"about {duration(max(1.0, status.seconds_left))} left" if status.seconds_left else ""


def quality_so_far(record: Record, quality: str) -> str:
    """The trial's value of the objective `quality` or, before it is finished, its best epoch's; empty without one."""
    values = [record.values[quality]] if quality in record.values else []
    values = values or [report.metrics[quality] for report in record.curve if quality in report.metrics]
    if not values:
        return ""
    return objective_in_words(quality, (max if find_objective(quality).direction == "maximize" else min)(values))


def _on_test_column(table: FittedTable, confirmed: Mapping[Point, Confirmed]) -> Callable[[Point], list[str]]:
    """Add the column of the scores on test, if a point has one; returns what gives its cell."""
    metric = next((row.metric for row in confirmed.values()), None)
    if metric is None:
        return lambda point: []
    table.add_column(heading_on_test(metric), "number")
    return lambda point: [cell_on_test(confirmed.get(point))]


def _share_column(
    table: FittedTable, heading: str, shares: Mapping[Point, float | None]
) -> Callable[[Point], list[str]]:
    """Add a column of shares of full fine-tuning, if one is known; returns what gives its cell."""
    if all(share is None for share in shares.values()):
        return lambda point: []
    table.add_column(heading, "number")
    return lambda point: [percent(shares[point])]


def _also_column(table: FittedTable, rows: Sequence[Row], best: Sequence[Row]) -> Callable[[Point], list[str]]:
    """Add a column of the other points of each trial, if one has several; returns what gives its cell."""
    if len(rows) == len(best):
        return lambda point: []
    table.add_column("also on the front")
    others: dict[int, list[Point]] = {}
    for point in sorted({row.point for row in rows} - {row.point for row in best}, key=lambda point: point.order):
        others.setdefault(point.trial, []).append(point)
    return lambda point: [", ".join(map(str, others.get(point.trial, ())))]


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
