"""How long a search still takes: judged by the trials so far, and by how much those compute that are to come.

The starting points are known before they are trained, and so is how much each computes (`Method.passes`). The cheap
ones are tried first, so the mean of the first trials is far too low. Before a trial with an encoder has made steps,
those that its device was timed with tell. What a sampler proposes is stopped early where
another trial dominates it, which starting points hardly ever are, so the mean of the starting points is too high.
`python -m benchmarks.time_left` compares what is forecast with what recorded searches took.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, islice, repeat, takewhile
from typing import TYPE_CHECKING

from peftsearch.methods.table import METHODS
from peftsearch.results.formatting import duration

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

SHARE = 0.6
"""What a proposed trial takes, relative to the mean starting point: 0.53 and 0.63 on the two recorded tables."""

WEIGHT = 4
"""So many proposed trials are taken to have ended with that share of the mean starting point, before any has ended."""

UNSURE = 1.4
"""From two trials on, the rest of 75 to 100 % of the recorded searches took within this factor of what was forecast."""


def seconds_left(records: Sequence[Record], remaining: int) -> float | None:
    """The time until a search is done; None while it cannot be told.

    Args:
        records: all its trials.
        remaining: how many trials have not ended, the running ones among them.
    """
    left = list(islice(_left(records), max(0, remaining)))
    known = [seconds for seconds in left if seconds is not None]
    return sum(known) / _workers(records) if len(known) == len(left) else None


def likely_reached(records: Sequence[Record], seconds: float, trials: int | None = None) -> str | None:
    """How many more trials are likely to end within a time, in a sentence; None while it cannot be told.

    Args:
        records: all trials of the search.
        seconds: the time that is left.
        trials: the total of trials asked for, if there is one.
    """
    pace = Pace(records)
    if pace.proposed is None or not pace.is_sure:
        return None
    few, many = (_ending(records, _workers(records) * seconds / unsure) for unsure in (UNSURE, 1 / UNSURE))
    left = None if trials is None else trials - sum(record.done for record in records)
    if left is not None and few >= left:
        return f"all {trials} trials are likely to end within the {duration(seconds)} left"
    many = many if left is None else min(many, left)
    if not many:
        unfinished = "one that has begun keeps its epochs"
        return f"no further trial is likely to be trained to its end in the {duration(seconds)} left; {unfinished}"
    expected = f"{few:,}" if few == many else f"{few:,} to {many:,}"
    trials_are = "trial is" if expected == "1" else "trials are"
    return f"about {expected} more {trials_are} likely to end in the {duration(seconds)} left"


def seconds_of_trials(records: Sequence[Record]) -> list[float]:
    """The wall time of each finished or pruned trial, loading and evaluation included."""
    ended = (record for record in records if record.state in ("complete", "pruned"))
    return [seconds for record in ended if (seconds := _known(record)) is not None]


def whole_by_steps(record: Record) -> float | None:
    """What a running trial will have taken in the end, if its later steps take as long as those so far.

    Early stopping makes it less. None before its first step, and for a method that takes no steps.
    """
    if record.at is None or record.started is None or record.last_step is None:
        return None
    return max(0.0, record.last_step - record.started.timestamp()) * record.at.steps / record.at.step


@dataclass(frozen=True)
class Pace:
    """How long trials take, as far as all trials of a search, `records`, tell."""

    records: Sequence[Record]

    @cached_property
    def proposed(self) -> float | None:
        """The mean seconds of the trials that a sampler is still to propose; None if nothing is known of them."""
        starting = [self.whole(record) for record in self.records if record.starting_point and record.counts]
        if None in starting:
            return None
        others = [_known(record) for record in self.records if not record.starting_point]
        return _mean([*others, *([SHARE * mean] * WEIGHT if (mean := _mean(starting)) is not None else [])])

    @cached_property
    def is_sure(self) -> bool:
        """Whether a device was timed or a trial tells that computes more than a pass, unless none is known to come."""
        told = any(passes > 1 for _, passes, _ in self._told)
        return told or bool(self._timed) or all(_passes(record) <= 1 for record in self.records)

    def whole(self, record: Record) -> float | None:
        """The seconds that a trial took or, if it is trained to its last epoch, will have taken; None if unknown."""
        if (known := _known(record)) is not None:
            return known
        if record.config is None:
            return self.proposed
        passes = _passes(record)
        if not passes:
            return _mean(known for _, passes, known in self._told if not passes) or 0.0
        rate = self._rates.get(record.config.backbone, self._rates.get(None))
        return passes * rate if rate is not None else None

    @cached_property
    def _told(self) -> list[tuple[str, float, float]]:
        """Backbone, passes and seconds of each trial that was not stopped early, none of loading if it is one pass."""
        whole = [r for r in self.records if r.state in ("complete", "running")]
        return [
            (r.config.backbone, _passes(r), s) for r in whole if r.config and (s := _without_loading(r)) is not None
        ]

    @cached_property
    def _timed(self) -> list[float]:
        """The seconds of a pass, of each trial whose device was timed before."""
        return [record.whole_pass for record in self.records if record.whole_pass is not None]

    @cached_property
    def _rates(self) -> Mapping[str | None, float]:
        """By backbone, and None for all: the seconds of a pass.

        A trial of one pass tells little, and counts only where there is no other and no device was timed.
        """
        told = [one for one in self._told if one[1] > 1]
        if not told and self._timed:
            return {None: sum(self._timed) / len(self._timed)}
        told = told or [one for one in self._told if one[1] > 0]
        rates = {}
        for name in {None, *(backbone for backbone, _, _ in told)} if told else ():
            mine = [(passes, seconds) for backbone, passes, seconds in told if name in (None, backbone)]
            rates[name] = sum(seconds for _, seconds in mine) / sum(passes for passes, _ in mine)
        return rates


def _left(records: Sequence[Record]) -> Iterator[float | None]:
    """The seconds left of each running trial, then those of the trials that wait, then of those to be proposed."""
    pace, now = Pace(records), time.time()
    for record in records:
        if record.state == "running":
            whole, started = pace.whole(record), record.started.timestamp() if record.started else now
            yield None if whole is None else max(0.0, started + whole - now)
    yield from (pace.whole(record) for record in records if record.state == "waiting")
    yield from repeat(pace.proposed)


def _ending(records: Sequence[Record], seconds: float) -> int:
    """How many more trials end if one worker has so many seconds."""
    each = (max(left or 0.0, 0.01) for left in _left(records))
    return sum(1 for _ in takewhile(lambda total: total <= seconds, accumulate(each)))


def _workers(records: Sequence[Record]) -> int:
    return max(1, sum(record.state == "running" for record in records))


def _passes(record: Record) -> float:
    """What a trial computes; 0 if it is not known."""
    method = METHODS.get(record.config.method) if record.config else None
    return method.passes(record.config.settings, record.config.training.epochs) if method and record.config else 0.0


def _known(record: Record) -> float | None:
    """The wall time of a finished or pruned trial, loading and evaluation included; of a running one by its steps."""
    if record.state == "running":
        return whole_by_steps(record)
    if record.started and record.ended and record.state in ("complete", "pruned"):
        return (record.ended - record.started).total_seconds()
    return None


def _without_loading(record: Record) -> float | None:
    """As `_known`, without what a trial of one pass takes to load: most of its time, as it is the search's first."""
    if _passes(record) == 1 and record.curve:
        return sum(report.duration for report in record.curve)
    return _known(record)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
