"""How much a set of trials dominates, on the scale on which the benchmarks and the documents state it.

The hypervolume is over a validation metric as it is and over costs by their logarithm, so that a cost of half the size
counts the same everywhere. The reference point is what is worse than anything: the worst value that a metric can have
and, for what has no such bound, the worst trial. Only shares of a hypervolume are told, which the units do not change.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from peftsearch.core.front.pareto import Array, as_losses, hypervolume
from peftsearch.core.objectives import find_objective

BEYOND = 0.1
"""The reference point lies beyond the worst trial by this share of the range, so that both ends of a front count."""

LEAST = 0.1
"""The share of the least positive cost that stands for a cost of 0, which has no logarithm."""


def share_added(values: Sequence[Sequence[float]] | Array, before: int, objectives: Sequence[str]) -> float:
    """The share of the hypervolume of all trials that the first `before` of them do not reach.

    Args:
        values: shape (trials, objectives), in the order of the trials; a row of NaN dominates nothing.
        before: the number of trials that came first.
        objectives: their names.

    Returns:
        0..1; 0 if no trial dominates anything.

    >>> round(share_added([[0.8, 1e6], [0.7, 1e6], [0.9, 1e6]], 2, ("macro_f1", "trainable_parameters")), 3)
    0.111
    """
    losses, reference = scaled(np.asarray(values, dtype=np.float64).reshape(-1, len(objectives)), objectives)
    valid = np.asarray(~np.isnan(losses).any(axis=1))
    whole = hypervolume(losses[valid], reference)
    return 1 - hypervolume(losses[:before][valid[:before]], reference) / whole if whole > 0 else 0.0


def scaled(values: Array, objectives: Sequence[str]) -> tuple[Array, Array]:
    """Losses of shape (trials, objectives) in which differences count, and the reference point of shape (objectives,).

    A row with NaN stays one, and is left out of the reference point.
    """
    columns = [_scaled(column, name) for column, name in zip(values.T, objectives, strict=True)]
    return np.stack([losses for losses, _ in columns], axis=1), np.array([worst for _, worst in columns])


def _scaled(column: Array, name: str) -> tuple[Array, float]:
    """One objective's losses, and the loss of the reference point."""
    objective = find_objective(name)
    if objective.known != "curve":
        positive = column[column > 0]
        column = np.log(np.maximum(column, LEAST * positive.min() if len(positive) else 1.0))
    losses = as_losses(column[:, None], [objective.direction])[:, 0]
    if objective.bounds is not None:
        return losses, -objective.bounds[0]
    seen = losses[~np.isnan(losses)]
    return losses, float(seen.max() + (BEYOND * np.ptp(seen) or 1.0)) if len(seen) else 0.0
