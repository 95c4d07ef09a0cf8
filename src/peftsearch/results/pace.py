"""What a search is likely to reach within a time limit, judged by the trials that have ended."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles
from typing import TYPE_CHECKING

from peftsearch.results.formatting import duration
from peftsearch.results.status import seconds_of_trials

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

ENOUGH = 3
"""From so many ended trials on, something can be said."""


def likely_reached(records: Sequence[Record], seconds: float, workers: int, trials: int | None = None) -> str | None:
    """How many more trials are likely to end within a time, in a sentence; None while too few trials have ended.

    The range is that of a time per trial between the mean of all and their upper quartile, since the cheapest
    configurations are tried first and the mean of the first trials is too low.

    Args:
        seconds: the time that is left.
        workers: how many trials are trained at once.
        trials: the total of trials asked for, if there is one.
    """
    took = seconds_of_trials(records)
    if len(took) < ENOUGH:
        return None
    mean, slow = sum(took) / len(took), quantiles(took, n=4, method="inclusive")[2]
    few, many = (int(workers * seconds / max(each, 0.01)) for each in (max(mean, slow), min(mean, slow)))
    left = None if trials is None else trials - sum(record.done for record in records)
    if left is not None and few >= left:
        return f"all {trials} trials are likely to end within the {duration(seconds)} left"
    if left is not None:
        many = min(many, left)
    expected = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    return (
        f"about {expected} more trials are likely to end in the {duration(seconds)} left; "
        f"the {len(took)} so far took {duration(mean)} on average"
    )
