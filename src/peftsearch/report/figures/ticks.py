"""Where a logarithmic axis has its numbers: at 1, 2 and 5 in every decade, or at fewer places if those are too many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

MOST_TICKS = 8
STEPS = ((1, (1, 2, 5)), (1, (1, 3)), (1, (1,)), (2, (1,)), (3, (1,)))
"""Every how many decades an axis has numbers, and at which multiples: the first that gives few enough is taken."""

SIGNS = ((1e9, " B"), (1e6, " M"), (1e3, " k"))


class Tick(NamedTuple):
    """A number on an axis, and how it is written."""

    at: float
    text: str


def ticks(values: Sequence[float], zero: float | None = None, *, parameters: bool = False) -> list[Tick]:
    """The numbers of an axis, from the last before the least of `values` to the first after the largest.

    Args:
        values: what is drawn, each above 0.
        zero: where values of 0 are drawn, which the axis says; None if there are none.
        parameters: whether the values count parameters, so that 1,000 is written as `1 k`.

    >>> [tick.text for tick in ticks([0.3, 41.0])]
    ['0.2', '0.5', '1', '2', '5', '10', '20', '50']
    """
    if not values:
        return [] if zero is None else [Tick(zero, "0")]
    choices = [_places(min(values), max(values), *step) for step in STEPS]
    places = next((found for found in choices if len(found) <= MOST_TICKS), choices[-1])
    written = [Tick(place, _text(place, parameters)) for place in places]
    return written if zero is None else [Tick(zero, "0"), *(tick for tick in written if tick.at > 1.5 * zero)]


def _places(least: float, most: float, every: int, multiples: Sequence[int]) -> list[float]:
    first, last = math.floor(math.log10(least)), math.ceil(math.log10(most))
    decades = range(first - first % every, last + every, every)
    places = [float(f"{multiple}e{decade}") for decade in decades for multiple in multiples]
    below, above = [place for place in places if place <= least], [place for place in places if place >= most]
    return [place for place in places if below[-1] <= place <= above[0]]


def _text(value: float, parameters: bool) -> str:
    if not parameters:
        return f"{value:,g}" if value < 1e6 else f"{value:g}"
    size, sign = next(((size, sign) for size, sign in SIGNS if value >= size), (1.0, ""))
    return f"{value / size:g}{sign}"
