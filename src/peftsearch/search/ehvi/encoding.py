"""Configurations as rows of numbers: one column for each setting's name, which the methods that have it share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from peftsearch.core.front.pareto import Array
from peftsearch.study.suggest import METHOD

ABSENT = -1.0
"""Stands in the column of a setting that a configuration does not have; settings themselves are scaled to 0..1."""

STEP = 0.1
"""The standard deviation by which a number is moved, as a share of its range (on its own scale)."""

SWAPPED = 0.25
"""The share of categorical settings that are drawn anew beside a good configuration."""


@dataclass(frozen=True)
class Points:
    """Configurations.

    Attributes:
        method: shape (points,): places in `Encoding.methods`.
        columns: shape (points, columns): settings scaled to 0..1, or `ABSENT`.
    """

    method: NDArray[np.intp]
    columns: Array

    def __len__(self) -> int:
        return len(self.method)

    def rows(self) -> list[tuple[float, ...]]:
        """Each point as a tuple, which equal points have in common."""
        return [(method, *row) for method, row in zip(self.method.tolist(), self.columns.tolist(), strict=True)]

    def where(self, mask: NDArray[np.bool_]) -> Points:
        """The points where `mask` is true."""
        return Points(self.method[mask], self.columns[mask])


class Encoding:
    """The columns of a search space, and draws from it.

    Attributes:
        methods: their names.
        nominal: shape (columns,): whether a column's values have no order, so that they are equal or not.
        shared: shape (columns,): whether every method has the column.
    """

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        methods = space[METHOD]
        assert isinstance(methods, CategoricalDistribution)
        self.methods = [str(method) for method in methods.choices]
        self._own: dict[str, dict[str, tuple[str, BaseDistribution]]] = {method: {} for method in self.methods}
        for name, dimension in space.items():
            method, _, setting = name.partition(".")
            for owner in [] if dimension.single() or name == METHOD else [method] if setting else self.methods:
                self._own[owner][setting or name] = (name, dimension)
        settings = sorted({setting for own in self._own.values() for setting in own})
        self._place = {setting: place for place, setting in enumerate(settings)}
        owned = [[own[setting][1] for own in self._own.values() if setting in own] for setting in settings]
        self.nominal = np.array([any(map(_is_nominal, dimensions)) for dimensions in owned], dtype=bool)
        self.shared = np.array([len(dimensions) == len(self.methods) for dimensions in owned], dtype=bool)

    def points(self, many: Sequence[Mapping[str, Any]]) -> Points:
        """The Optuna parameters of some trials as points."""
        columns = np.full((len(many), len(self._place)), ABSENT)
        for row, params in zip(columns, many, strict=True):
            for setting, (name, dimension) in self._own[params[METHOD]].items():
                if name in params:
                    row[self._place[setting]] = _to_unit(dimension, params[name])
        return Points(np.array([self.methods.index(params[METHOD]) for params in many], dtype=np.intp), columns)

    def params(self, points: Points, place: int) -> dict[str, Any]:
        """One point as Optuna parameters."""
        method, row = self.methods[points.method[place]], points.columns[place]
        own = self._own[method].items()
        return {METHOD: method, **{name: _from_unit(d, float(row[self._place[setting]])) for setting, (name, d) in own}}

    def searched(self, only: str | None = None) -> list[int]:
        """The places of the methods that have settings to search, or of one of them only."""
        return [place for place, name in enumerate(self.methods) if self._own[name] and only in (None, name)]

    def drawn(self, method: int, count: int, random: np.random.Generator) -> Points:
        """Points drawn at random from a method's space."""
        return self._filled(method, np.full((count, len(self._place)), ABSENT), random)

    def near(self, method: int, good: Array, count: int, random: np.random.Generator) -> Points:
        """Points near the rows `good` of a method."""
        return self._filled(method, good[np.arange(count) % len(good)].copy(), random)

    def _filled(self, method: int, rows: Array, random: np.random.Generator) -> Points:
        """Draw what is absent, and move the rest."""
        for setting, (_, dimension) in self._own[self.methods[method]].items():
            old, new = rows[:, self._place[setting]], random.random(len(rows))
            if isinstance(dimension, CategoricalDistribution):
                moved = np.where(random.random(len(rows)) < SWAPPED, _on_grid(dimension, new), old)
                new = _on_grid(dimension, new)
            else:
                moved = np.clip(old + STEP * random.standard_normal(len(rows)), 0, 1)
            rows[:, self._place[setting]] = np.where(old == ABSENT, new, moved)
        return Points(np.full(len(rows), method, dtype=np.intp), rows)


def joined(many: Sequence[Points]) -> Points:
    """All of the points, in order."""
    return Points(np.concatenate([each.method for each in many]), np.concatenate([each.columns for each in many]))


def _is_nominal(dimension: BaseDistribution) -> bool:
    if not isinstance(dimension, CategoricalDistribution):
        return False
    return not all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in dimension.choices)


def _on_grid(dimension: CategoricalDistribution, unit: Array) -> Array:
    """Numbers in 0..1 as places of choices, scaled to 0..1."""
    choices = len(dimension.choices)
    return np.asarray(np.minimum(np.floor(unit * choices), choices - 1) / (choices - 1))


def _to_unit(dimension: BaseDistribution, value: Any) -> float:
    if isinstance(dimension, CategoricalDistribution):
        return dimension.choices.index(value) / (len(dimension.choices) - 1)
    low, high, scale, _ = _scale(dimension)
    return float((scale(value) - low) / (high - low))


def _from_unit(dimension: BaseDistribution, unit: float) -> Any:
    if isinstance(dimension, CategoricalDistribution):
        return dimension.choices[round(unit * (len(dimension.choices) - 1))]
    low, high, _, back = _scale(dimension)
    assert isinstance(dimension, IntDistribution | FloatDistribution)
    value = min(max(back(low + unit * (high - low)), dimension.low), dimension.high)
    return round(value) if isinstance(dimension, IntDistribution) else float(value)


def _scale(dimension: BaseDistribution) -> tuple[float, float, Any, Any]:
    """The ends of a range on the scale on which it is searched, and the functions to and from that scale."""
    assert isinstance(dimension, IntDistribution | FloatDistribution)
    to, back = (math.log, math.exp) if dimension.log else (float, float)
    return to(dimension.low), to(dimension.high), to, back
