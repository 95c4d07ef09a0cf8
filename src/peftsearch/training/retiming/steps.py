"""Which shapes a trial's training steps have, and what all of them take where a few of them were timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]
"""The rows of a micro-batch, and its width: the tokens of each row with padding."""


@dataclass(frozen=True)
class Step:
    """One optimizer step.

    Attributes:
        rows: the places of its rows in the split, in the order in which they are read.
        shapes: of its micro-batches.
    """

    rows: NDArray[np.int64]
    shapes: tuple[Shape, ...]

    @property
    def tokens(self) -> int:
        """The tokens of its micro-batches, padding included."""
        return sum(rows * width for rows, width in self.shapes)


def steps_of(
    order: NDArray[np.int64],
    lengths: NDArray[np.int64],
    batch_size: int,
    micro_batch: int,
    width: Callable[[int], int] = lambda longest: longest,
) -> list[Step]:
    """The steps of an epoch that reads the rows in this order, as the Trainer makes them.

    Args:
        order: places of the rows, shape (rows,).
        lengths: tokens of each row, by its place.
        batch_size: rows of a step; the last step may have fewer.
        micro_batch: rows of a forward pass.
        width: the longest row of a micro-batch → the width to which it is padded.
    """
    steps = []
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        micro = (rows[first : first + micro_batch] for first in range(0, len(rows), micro_batch))
        steps.append(Step(rows, tuple((len(part), width(int(lengths[part].max()))) for part in micro)))
    return steps


def spread(steps: Sequence[Step], most: int) -> list[Step]:
    """At most `most` of these steps, from that of the fewest tokens to that of the most, with as many steps between any
    two neighbours. No two have equally many tokens."""
    ordered = sorted(steps, key=lambda step: step.tokens)
    places = np.linspace(0, len(ordered) - 1, min(most, len(ordered))).round().astype(int)
    return list({ordered[place].tokens: ordered[place] for place in places}.values())


def seconds_of(steps: Sequence[Step], timed: Mapping[int, float]) -> float:
    """What all of these steps take, by linear interpolation over their tokens.

    Args:
        timed: tokens of a step → the seconds that it takes.

    >>> step = Step(np.arange(4), ((4, 6),))
    >>> seconds_of([step, step], {16: 1.0, 32: 3.0})
    4.0
    """
    known = sorted(timed)
    return float(np.interp([step.tokens for step in steps], known, [timed[tokens] for tokens in known]).sum())
