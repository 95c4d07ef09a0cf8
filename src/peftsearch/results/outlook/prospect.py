"""What more trials are likely to bring, judged by the trials so far.

In replayed searches, how much the best quality still rose follows neither from its last rise nor from any one trial: it
is in proportion to how far apart the best trials lie, and falls with the number of trials. The hypervolume gains about
a third of what the last 20 trials have added to it. The constants below were fitted to 64 searches on two recorded
tables, after 24 to 80 trials. On 64 others the limits held in 89 % of the cases, least often for the quality after 32
trials: 69 % and 91 %. `python -m benchmarks.flat --sampler tpe --seeds 64 --skip 32` compares the forecast with what
the trials then brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from peftsearch.core.objectives import find_objective, is_metric, quality_objective
from peftsearch.results.formatting import objective_label
from peftsearch.search.flatness import added_by_last, first_ended, has_window

if TYPE_CHECKING:
    from peftsearch.storage.records import Record

MORE = 20
"""The number of trials that are forecast."""

BEST = 8
"""The best trials whose standard deviation says how far apart they lie; so many must have finished."""

QUALITY, QUALITY_AT_MOST = 14.0, 64.0
"""The gain of quality, and what nine of ten searches did not exceed, in deviations of the best trials over trials."""

SEED_DEVIATION = {"macro_f1": 0.008}
"""Metric → by how much it differs between seeds, where a study has not measured that.

It is the standard deviation on 250 validation rows of TREC, pooled over six methods and two ways to train them with
three seeds each (`benchmarks/results/per_trial.json`)."""

VOLUME, VOLUME_AT_MOST, VOLUME_FLOOR = 0.32, 1.1, 0.3
"""The gain of hypervolume, and what nine of ten searches did not exceed, over what the last 20 trials have added.

For the second, the floor over the number of trials is added to that first."""


@dataclass(frozen=True)
class Prospect:
    """What `MORE` more trials are likely to bring, and what they exceed in one of ten searches.

    Attributes:
        after: the number of trials from which it is told.
        quality: the gain of the best quality, in its own unit; None if it is no metric, or the best trials are equal.
        quality_at_most: what it exceeds in one of ten searches.
        volume: the gain of the hypervolume of whole trials as a share of what it is.
        volume_at_most: what it exceeds in one of ten searches.
    """

    after: int
    quality: float | None
    quality_at_most: float | None
    volume: float
    volume_at_most: float

    def to_dict(self) -> dict[str, float | None]:
        return {"more_trials": MORE, **asdict(self)}

    def in_short(self, quality: str) -> str:
        """The same in half a line, for a view that is redrawn.

        Args:
            quality: as for `sentence`.
        """
        gains = [
            f"{100 * self.volume:.1f} % of the hypervolume of whole trials (at most {100 * self.volume_at_most:.1f} %)"
        ]
        if self.quality is not None and self.quality_at_most is not None:
            gains.insert(0, f"{self.quality:.4f} {objective_label(quality)} (at most {self.quality_at_most:.4f})")
        return f"{MORE} more trials are likely to add {' and '.join(gains)}"

    def sentence(self, quality: str) -> str:
        """One line.

        Args:
            quality: the objective that `quality` is the gain of.
        """
        return f"{self.in_short(quality)}; nine of ten recorded searches kept each limit"

    def beside_seeds(self, quality: str, measured: float | None, study: str) -> str | None:
        """One line that compares the gain of quality with what another seed changes; None if either is unknown.

        Args:
            quality: the objective that `quality` is the gain of.
            measured: its standard deviation between seeds, if the study has measured it.
            study: the study's name.
        """
        deviation = SEED_DEVIATION.get(quality) if measured is None else measured
        if self.quality is None or deviation is None:
            return None
        compared = "less than" if self.quality < deviation else "no less than"
        gain = f"that gain of {objective_label(quality)} is {compared} what another seed"
        if measured is not None:
            return f"{gain} changes: {deviation:.4f}, the standard deviation between the seeds of the confirmed trials"
        return (
            f"{gain} changed in a benchmark: {deviation:.3f}, a standard deviation;"
            f" peftsearch confirm --study {study} measures it here"
        )


def prospect(records: Sequence[Record], objectives: Sequence[str], *, every_epoch: bool = False) -> Prospect | None:
    """Forecast what `MORE` more trials will bring.

    Args:
        records: all trials of a study.
        objectives: its, by name.
        every_epoch: whether each epoch of a trial is a point of the front.

    Returns:
        None while it cannot be told: before 16 trials have been proposed and `BEST` have finished.
    """
    ended, quality = first_ended(records), quality_objective(objectives)
    values = [r.values[quality] for r in ended if r.state == "complete" and r.feasible]
    added = added_by_last(ended, objectives, MORE, with_starting_points=True, every_epoch=every_epoch)
    if added is None or not has_window(ended) or len(values) < BEST or added == 1:
        return None
    count, grown = len(ended), added / (1 - added)
    apart = float(np.std(sorted(values, reverse=find_objective(quality).direction == "maximize")[:BEST])) / count
    told = is_metric(quality) and apart > 0  # equal trials, as of very few rows, say nothing of better ones
    return Prospect(
        after=count,
        quality=QUALITY * apart if told else None,
        quality_at_most=QUALITY_AT_MOST * apart if told else None,
        volume=VOLUME * grown,
        volume_at_most=VOLUME_AT_MOST * (grown + VOLUME_FLOOR / count),
    )
