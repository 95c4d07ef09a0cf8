"""What a picture of a front shows, whoever draws it: points, lines, axes, styles and words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, get_args

from peftsearch.confirm.summary import confirmation
from peftsearch.core.front.pareto import front_of
from peftsearch.core.front.tolerance import Tolerance
from peftsearch.core.objectives import find_objective, quality_objective
from peftsearch.core.points import Point
from peftsearch.report.figures.method_style import STYLES
from peftsearch.report.figures.points import Kind, Mark, axis_label, costs, finished_mark, stopped_mark
from peftsearch.report.figures.ticks import Tick, ticks
from peftsearch.report.on_test import confirmed_points, interval_of
from peftsearch.results.formatting import objective_in_words
from peftsearch.results.front import best_of_trials, front_counted

if TYPE_CHECKING:
    from peftsearch.confirm.confirmed import Confirmed
    from peftsearch.results.front import Row
    from peftsearch.results.reference import Reference
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record

ON_TEST = "confirmed: mean on test and its 95 % interval"
FRONT_LINE = "the front: the best for its cost"


class Mean(NamedTuple):
    """A trial's mean on the test split, and how far its interval reaches below and above; 0 where there is none."""

    point: Mark
    mean: float
    below: float
    above: float


@dataclass(frozen=True)
class FrontPicture:
    """Quality against each cost.

    Attributes:
        rows: every finished trial, and the epochs on the front.
        objectives: the study's, by name.
        title: a line above the picture.
        confirmed: the points that were confirmed: they stand there a second time, at their means on test.
        marked: the point that a .png shows with a ring.
        others: trials in other states, of which the pruned ones are drawn.
        reference: TF-IDF and logistic regression, drawn as a line.
        tolerance: with which the front was chosen.
    """

    rows: Sequence[Row]
    objectives: Sequence[str]
    title: str
    confirmed: Mapping[Point, Confirmed] = field(default_factory=dict)
    marked: Point | None = None
    others: Sequence[Record] = ()
    reference: Reference | None = None
    tolerance: Tolerance = field(default_factory=dict)

    @property
    def quality(self) -> str:
        return quality_objective(self.objectives)

    @property
    def costs(self) -> list[str]:
        """One for each axis below."""
        return costs(self.objectives)

    @cached_property
    def points(self) -> list[Mark]:
        """Every trial that is drawn, by method and number; the order of methods is the same in every study."""
        stopped = (stopped_mark(record, self.objectives) for record in self.others)
        found = [*(finished_mark(row, self.objectives) for row in self.rows), *filter(None, stopped)]
        return sorted(found, key=lambda point: (*_place(point.method), point.point.order))

    @property
    def methods(self) -> list[str]:
        """The methods of the points, in the order of the legend."""
        return list(dict.fromkeys(point.method for point in self.points))

    def against(self, cost: str) -> list[Mark]:
        """The points that stand against a cost, which a pruned trial need not know."""
        return [point for point in self.points if cost in point.costs]

    def chosen(self, method: str, kinds: Iterable[Kind], cost: str) -> list[Mark]:
        """The points of a method that stand against a cost."""
        return [point for point in self.against(cost) if point.method == method and point.kind in kinds]

    def at(self, points: Iterable[Mark], cost: str) -> list[float]:
        """The costs of `points` on a logarithmic axis, where zero is at half of the least positive cost."""
        return [point.costs[cost] or self._zero(cost) for point in points]

    def ticks(self, cost: str) -> list[Tick]:
        """Where the axis of a cost has numbers, and which."""
        known = [point.costs[cost] for point in self.against(cost)]
        positive = [value for value in known if value > 0]
        zero = self._zero(cost) if len(positive) < len(known) else None
        return ticks(positive, zero, parameters=find_objective(cost).unit == "parameters")

    def front_line(self, cost: str) -> list[Mark]:
        """The points of the front that no other one dominates in the quality and this cost alone, cheapest first."""
        front = [point for point in self.points if point.kind == "on the front"]
        values = [[point.quality, point.costs[cost]] for point in front]
        chosen = front_of(values, [self.quality, cost], self.tolerance)
        kept = [point for point, best in zip(front, chosen, strict=True) if best]
        return sorted(kept, key=lambda point: (point.costs[cost], point.quality))

    def of_one_trial(self, cost: str) -> list[list[Mark]]:
        """The points on the front of each trial that has several there, cheapest first."""
        trials: dict[int, list[Mark]] = {}
        for mark in sorted((m for m in self.points if m.kind == "on the front"), key=lambda mark: mark.costs[cost]):
            trials.setdefault(mark.point.trial, []).append(mark)
        return [marks for marks in trials.values() if len(marks) > 1]

    @property
    def labelled(self) -> list[Mark]:
        """Of each trial on the front the best point there, whose name a .png shows."""
        best = {row.point for row in best_of_trials([row for row in self.rows if row.on_front])}
        return [mark for mark in self.points if mark.point in best and mark.kind == "on the front"]

    def less_is_better(self, cost: str) -> bool:
        return find_objective(cost).direction == "minimize"

    @property
    def reference_line(self) -> tuple[float, str] | None:
        """The height of the line of TF-IDF and its label; None if it has not measured the quality."""
        height = self.reference.metrics.get(self.quality) if self.reference else None
        return None if height is None else (height, f"TF-IDF: {objective_in_words(self.quality, height)}")

    @property
    def on_test(self) -> list[Mean]:
        """The confirmed trials."""
        return [_mean(point, self.confirmed[point.point]) for point in self.points if point.point in self.confirmed]

    def kinds(self) -> list[Kind]:
        """Which kinds of points there are."""
        there = {point.kind for point in self.points}
        return [kind for kind in get_args(Kind) if kind in there]

    def quality_axis(self) -> str:
        """The words on the axis of the quality; they say where the confirmed trials stand."""
        return f"{axis_label(self.quality)}; hollow: on test" if self.on_test else axis_label(self.quality)

    def _zero(self, cost: str) -> float:
        positive = [point.costs[cost] for point in self.points if point.costs.get(cost, 0) > 0]
        return min(positive, default=1.0) / 2


def front_picture(stored: StoredStudy) -> FrontPicture:
    """The picture of all that a study has found so far."""
    known, points, confirmed = stored.records(), stored.points(), confirmed_points(confirmation(stored))
    rows = [row for row in points if row.point.epoch is None or row.on_front or row.point in confirmed]
    pruned = sum(record.state == "pruned" for record in known)
    stopped = f"; {pruned} {'was' if pruned == 1 else 'were'} stopped early" if pruned else ""
    return FrontPicture(
        rows, stored.objectives, f"{stored.name}: {front_counted(points)}{stopped}", confirmed, others=known,
        reference=stored.reference, tolerance=stored.tolerance,
    )  # fmt: skip


def _place(method: str) -> tuple[int, str]:
    names = list(STYLES)
    return (names.index(method) if method in names else len(names)), method


def _mean(point: Mark, confirmed: Confirmed) -> Mean:
    found = interval_of(confirmed)
    if found.low is None or found.high is None:
        return Mean(point, found.mean, 0.0, 0.0)
    return Mean(point, found.mean, found.mean - found.low, found.high - found.mean)
