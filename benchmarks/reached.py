"""What replayed searches reach, trial by trial: their hypervolumes, and after how many trials they have another's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from benchmarks.replay import TRIALS, Table, mean

from peftsearch.core.front.pareto import Array, hypervolume, non_dominated

Search = Sequence[tuple[int, int]]
"""The trials of a search: the row of the table, and how many of its epochs were trained."""

Volumes = list[float]
"""The hypervolume after each trial of a search."""

MARKS = (20, TRIALS)
"""The hypervolume is read after these numbers of trials."""


def points_of(table: Table, *, quiet: bool, epochs: bool = False) -> list[Array]:
    """What each row of the table measured: its losses after each epoch, NaN where they do not count.

    Args:
        quiet: count equal seconds for equal work.
        epochs: count every epoch. Else only the whole training counts, with the F1 of its best epoch.

    Returns:
        For each row, shape (epochs, 3), on the scale of the table.
    """
    if not epochs:
        ends = table.quiet if quiet else table.losses
        return [_only_last(end, len(row.curve)) for end, row in zip(ends, table.records, strict=True)]
    seconds = [np.log10(np.cumsum([epoch.train_seconds for epoch in row.curve])) for row in table.records]
    for rows in table.equal if quiet else ():
        together = np.median([seconds[row] for row in rows], axis=0)
        for row in rows:
            seconds[row] = together
    low, span = table.scale
    found = []
    for row, until in zip(table.records, seconds, strict=True):
        parameters = np.log10(np.maximum.accumulate([epoch.trainable_parameters for epoch in row.curve]))
        quality = np.array([[1 - epoch.metrics["macro_f1"]] for epoch in row.curve])
        found.append(np.concatenate([quality, (np.stack([parameters, until], axis=1) - low) / span], axis=1))
    return found


def _only_last(end: Array, epochs: int) -> Array:
    points = np.full((epochs, len(end)), np.nan)
    points[-1] = end
    return points


def volumes(points: Sequence[Array], search: Search) -> Volumes:
    """The hypervolume after each trial of a search, given the points of every row."""
    front: Array = np.zeros((0, 3))
    found: Volumes = []
    for place, trained in search:
        new = points[place][:trained]
        new = new[~np.isnan(new).any(axis=1)]
        new = new[[not (front <= point).all(axis=1).any() for point in new]]
        if len(new):
            front = np.concatenate([front, new])
            front = front[non_dominated(front)]
        found.append(found[-1] if found and not len(new) else volume_of(front))
    return found


def volume_of(points: Array) -> float:
    return hypervolume(points, np.ones(3)) if len(points) else 0.0


def trials_to(mine: Volumes, target: float) -> float:
    """After how many trials a search has this hypervolume; infinity if it never does."""
    return next((count for count, volume in enumerate(mine, 1) if volume >= target - 1e-9), math.inf)


def shown(found: Mapping[str, Sequence[Volumes]], most: Sequence[float]) -> str:
    """A Markdown table. Differences are from the first way, search by search, in 1e-4, with standard errors.

    Args:
        found: way → the hypervolumes of each of its searches.
        most: for each search the hypervolume of all rows of its methods, which none can exceed.
    """
    base = next(iter(found.values()))
    heads = [f"after {mark} trials | difference" for mark in MARKS]
    heads += ["gap closed", "trials to the first row's: median (quartiles)", "never", "of the mean"]
    lines = [f"| way | {' | '.join(heads)} |", "|---" * (2 * len(MARKS) + 5) + "|"]
    for way, runs in found.items():
        cells = [way]
        for mark in MARKS:
            cells += [mean([run[mark - 1] for run in runs], 4), mean(differences(runs, base, mark), 0)]
        gap = float(np.mean(most)) - _mean(base, TRIALS)
        cells.append(f"{100 * (_mean(runs, TRIALS) - _mean(base, TRIALS)) / gap:.0f} %")
        counts = [trials_to(run, its[TRIALS - 1]) for run, its in zip(runs, base, strict=True)]
        cells += [_quartiles(counts), f"{100 * np.mean(np.isinf(counts)):.0f} %"]
        cells.append(_count(trials_to([_mean(runs, place + 1) for place in range(TRIALS)], _mean(base, TRIALS))))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(runs: Sequence[Volumes], base: Sequence[Volumes], mark: int) -> list[float]:
    """What each search has more than the one of `base` with the same number after `mark` trials, in 1e-4."""
    return [1e4 * (mine[mark - 1] - its[mark - 1]) for mine, its in zip(runs, base, strict=True)]


def pairs(found: Mapping[str, Sequence[Volumes]], compared: Sequence[tuple[str, str]]) -> str:
    """What the first way of each pair has more than the second one, search by search."""
    lines = [
        f"| way | less | {' | '.join(f'after {mark} trials' for mark in MARKS)} |",
        "|---" * (2 + len(MARKS)) + "|",
    ]
    for one, other in compared:
        cells = [mean(differences(found[one], found[other], mark), 0) for mark in MARKS]
        lines.append(f"| {one} | {other} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(runs: Sequence[Volumes], count: int) -> float:
    return float(np.mean([run[count - 1] for run in runs]))


def _quartiles(counts: Sequence[float]) -> str:
    low, middle, high = (_count(each) for each in np.quantile(counts, [0.25, 0.5, 0.75], method="nearest"))
    return f"{middle} ({low}–{high})"


def _count(count: float) -> str:
    return f"{count:.0f}" if np.isfinite(count) else f"over {TRIALS}"
