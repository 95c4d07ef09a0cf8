"""Which points of a recorded table replayed trials have reached, and which of these are on a front."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.front.pareto import Array, front_of, hypervolume, non_dominated

if TYPE_CHECKING:
    from benchmarks.replay import Table

OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")

Reached = set[tuple[int, int]]
"""Points: the row of the table, and the epoch after which its training ended."""


@dataclass(frozen=True)
class Fronts:
    """The points of a table: whole trials, or each epoch of a trial."""

    table: Table
    every_epoch: bool

    def reached(self, trained: Iterable[tuple[int, int]]) -> Reached:
        """The points of trials, given the row and the number of epochs of each."""
        return {
            (row, place + 1)
            for row, epochs in trained
            for place in range(epochs)
            if not np.isnan(self._points[row][place]).any()
        }

    def volume(self, reached: Reached) -> float:
        return hypervolume(self._losses(sorted(reached)), np.ones(3)) if reached else 0.0

    def front(self, reached: Reached) -> Reached:
        keys = sorted(reached)
        return {key for key, on in zip(keys, non_dominated(self._losses(keys)), strict=True) if on}

    def front_within(self, reached: Reached) -> Reached:
        """The front on which seconds within the default tolerance count as equal."""
        keys = sorted(reached)
        values = self._losses(keys)
        low, span = self.table.scale
        values = np.stack([1 - values[:, 0], *(10 ** (low + span * values[:, 1:])).T], axis=1)
        return {key for key, on in zip(keys, front_of(values, OBJECTIVES), strict=True) if on}

    def _losses(self, keys: Sequence[tuple[int, int]]) -> Array:
        return np.array([self._points[row][epoch - 1] for row, epoch in keys])

    @cached_property
    def _points(self) -> list[Array]:
        """The losses of each row after each epoch, shape (epochs, 3), NaN where that is no point."""
        from benchmarks.reached import points_of  # it needs `benchmarks.replay`, which needs this module

        return points_of(self.table, quiet=False, epochs=self.every_epoch)


@cache
def fronts_of(table: Table, every_epoch: bool) -> Fronts:
    """Made once for all replays."""
    return Fronts(table, every_epoch)
