"""Say what the tolerance of timed objectives does to the fronts of the recorded tables.

    python -m benchmarks.front_noise

For each table of `benchmarks/curves`: the points on the front of all its rows, and the mean over the fronts of studies
of 40 trials (`benchmarks/replay.py:orders`), without a tolerance, with the default one and with others. *Left off* is
the share of the front without a tolerance that the tolerance leaves off, *noise left* the share of the front that
another row dominates once equal work has equal seconds. *Hypervolume kept* is that of the smaller front.
"""

from __future__ import annotations

import argparse

import numpy as np
from benchmarks.curves import TABLES
from benchmarks.replay import OBJECTIVES, TRIALS, Table, orders

from peftsearch.core.front.pareto import dominates, front_of
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Margin, Tolerance

TOLERANCES: dict[str, Tolerance] = {
    "none": EXACT,
    "5 %": {"train_seconds": Margin(0.05, relative=True)},
    "the default": AS_MEASURED,
    "20 %": {"train_seconds": Margin(0.2, relative=True)},
    "the default, and F1 0.005": {"macro_f1": Margin(0.005)},
}


def places_on(table: Table, places: list[int], tolerance: Tolerance) -> list[int]:
    """Which of these rows are on their front."""
    values = [[table.records[place].values[name] for name in OBJECTIVES] for place in places]
    return [place for place, kept in zip(places, front_of(values, OBJECTIVES, tolerance), strict=True) if kept]


def by_noise(table: Table, study: list[int], front: list[int]) -> int:
    """How many points of a front another row of the study dominates once equal work has equal seconds."""
    losses = table.quiet[study]
    return sum(bool(dominates(losses, table.quiet[place]).any()) for place in front)


def rows(name: str, seeds: int, methods: int) -> list[str]:
    """The lines of one table of recorded curves."""
    table = Table(name)
    everything = list(range(len(table.records)))
    studies = [order[:TRIALS] for order in orders(table, seeds, methods)]
    plain = [len(places_on(table, study, EXACT)) for study in studies]
    lines = []
    for words, tolerance in TOLERANCES.items():
        fronts = [places_on(table, study, tolerance) for study in studies]
        sizes = np.array([len(front) for front in fronts])
        volume = np.mean(
            [table.volume(front) / table.volume(study) for front, study in zip(fronts, studies, strict=True)]
        )
        noise = 1 - sizes.sum() / sum(plain)
        left = sum(by_noise(table, study, front) for study, front in zip(studies, fronts, strict=True)) / sizes.sum()
        whole = len(places_on(table, everything, tolerance))
        lines.append(
            f"| {name} | {words} | {whole} | {sizes.mean():.1f} | {100 * noise:.0f} % | {100 * left:.0f} % |"
            f" {100 * volume:.2f} % |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--methods", type=int, default=8, help="number of methods in a study")
    options = parser.parse_args()
    print("| table | tolerance | front of all rows | front of 40 trials | left off | noise left | hypervolume kept |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in TABLES:
        print(*rows(name, options.seeds, options.methods), sep="\n")


if __name__ == "__main__":
    main()
