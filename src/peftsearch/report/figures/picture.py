"""What a picture of a front shows, whoever draws it: points, costs, colours, axes and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from peftsearch.core.objectives import find_objective, is_metric, is_quality, quality_objective
from peftsearch.report.on_test import interval_of
from peftsearch.results.formatting import objective_label

if TYPE_CHECKING:
    from peftsearch.confirm.summary import Confirmed
    from peftsearch.results.front import Row

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B", "#F0E442")
"""Colours for every kind of colour vision. Source: Okabe and Ito, "Color universal design" (2008)."""

GREY = "#BBBBBB"

ON_TEST = "on test"
"""The legend of the confirmed trials' means on the test split."""


@dataclass(frozen=True)
class FrontPicture:
    """Quality against each cost.

    Attributes:
        rows: every finished trial; those that are not on the front are drawn in grey.
        objectives: the study's, by name.
        title: a line above the picture.
        confirmed: number → trial, of those that were confirmed: they stand there a second time, at their means on test.
        marked: the number of a trial that a .png shows with a ring.
    """

    rows: Sequence[Row]
    objectives: Sequence[str]
    title: str
    confirmed: Mapping[int, Confirmed] = field(default_factory=dict)
    marked: int | None = None

    @property
    def quality(self) -> str:
        return quality_objective(self.objectives)

    @property
    def costs(self) -> list[str]:
        """One for each axis below."""
        return costs(self.objectives)

    @cached_property
    def colours(self) -> dict[str, str]:
        """A colour for each method on the front."""
        methods = sorted({row.config.method for row in self.rows if row.on_front})
        return {method: COLOURS[place % len(COLOURS)] for place, method in enumerate(methods)}

    def colour(self, row: Row) -> str:
        return self.colours[row.config.method] if row.on_front else GREY

    def groups(self) -> list[tuple[str, list[Row]]]:
        """The dominated trials first, so that they are drawn under the others, then those on the front by method."""
        groups: dict[str, list[Row]] = {}
        for row in sorted(self.rows, key=lambda row: (row.on_front, row.config.method)):
            groups.setdefault(row.config.method if row.on_front else "dominated", []).append(row)
        return list(groups.items())

    def tested(self) -> list[Row]:
        """The rows that were confirmed."""
        return [row for row in self.rows if row.record.number in self.confirmed]

    def on_test(self, row: Row) -> tuple[float, float, float]:
        """A confirmed row's mean on test, and how far its interval reaches below and above; 0 where there is none."""
        found = interval_of(self.confirmed[row.record.number])
        if found.low is None or found.high is None:
            return found.mean, 0.0, 0.0
        return found.mean, found.mean - found.low, found.high - found.mean

    def heights(self, chosen: Sequence[Row]) -> list[float]:
        """The qualities of the `chosen` rows."""
        return [value(row, self.quality) for row in chosen]

    def places(self, chosen: Sequence[Row], cost: str) -> list[float]:
        """The costs of the `chosen` rows on a logarithmic axis, where zero is at half of the least positive cost."""
        least = min((found for row in self.rows if (found := value(row, cost)) > 0), default=1.0)
        return [value(row, cost) or least / 2 for row in chosen]

    def quality_axis(self) -> str:
        """The words on the axis of the quality; they say where the confirmed trials stand."""
        return f"{axis_label(self.quality)}; diamonds: {ON_TEST}" if self.tested() else axis_label(self.quality)


def costs(objectives: Sequence[str]) -> list[str]:
    """The objectives that are no quality; parameters and time if the study has no other."""
    quality = quality_objective(objectives)
    others = [name for name in objectives if name != quality and not is_quality(name)]
    return others or ["trainable_parameters", "train_seconds"]


def value(row: Row, name: str) -> float:
    """An objective of a row, whether its study has that or not."""
    return row.objectives[name] if name in row.objectives else find_objective(name).read(row.measurement)


def axis_label(name: str) -> str:
    """What an axis of the pictures is called: the objective with its unit."""
    words, unit = objective_label(name), find_objective(name).unit
    if is_metric(name):
        return f"validation {words}"
    return f"{words} {unit}" if unit == "parameters" else f"{words} ({unit})"
