"""Say what the tolerance of timed objectives does to the fronts of the recorded tables.

    python -m benchmarks.front_noise

For each table of `benchmarks/curves`: the points on the front of all its rows, and the mean over the fronts of studies
of 40 trials (`benchmarks/replay.py:orders`), without a tolerance, with the default one and with others. *Left off* is
the share of the front without a tolerance that the tolerance leaves off, *noise left* the share of the front that
another row dominates once equal work has equal seconds. *Hypervolume kept* is that of the smaller front.

A study of the table mixes rows that were recorded days apart, on a machine that was quieter on some of them. *Noise
without drift* is what is left of the noise once the seconds of each row are divided by what equal work recorded near it
took, relative to its median: the noise of trials that were trained one after the other.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

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

NEAR, FEWEST, FEWEST_NEAR = 11, 3, 5
"""The drift at a row is the median over the rows at most so many before and after it that have at least two others of
equal work; at least so many of them."""


def places_on(table: Table, places: list[int], tolerance: Tolerance) -> list[int]:
    """Which of these rows are on their front."""
    values = [[table.records[place].values[name] for name in OBJECTIVES] for place in places]
    return [place for place, kept in zip(places, front_of(values, OBJECTIVES, tolerance), strict=True) if kept]


def by_noise(table: Table, study: list[int], front: list[int]) -> int:
    """How many points of a front another row of the study dominates once equal work has equal seconds."""
    losses = table.quiet[study]
    return sum(bool(dominates(losses, table.quiet[place]).any()) for place in front)


def without_drift(table: Table) -> Table:
    """The same table with the seconds that its rows had taken if the machine had been the same on all days."""
    alike = [places for places in table.equal if len(places) >= FEWEST]
    seconds = np.array([record.values["train_seconds"] for record in table.records])
    longer = {place: seconds[place] / np.median(seconds[places]) for places in alike for place in places}
    numbers = [record.number for record in table.records]
    for place, record in enumerate(table.records):
        near = [of for other, of in longer.items() if other != place and abs(numbers[other] - numbers[place]) <= NEAR]
        steady = float(seconds[place] / np.median(near)) if len(near) >= FEWEST_NEAR else float(seconds[place])
        table.records[place] = replace(record, values={**record.values, "train_seconds": steady})
    table.prepare()
    return table


def rows(name: str, seeds: int, methods: int) -> list[str]:
    """The lines of one table of recorded curves."""
    table, steady = Table(name), without_drift(Table(name))
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
        off = 1 - sizes.sum() / sum(plain)
        noise = [noise_of(each, studies, tolerance) for each in (table, steady)]
        whole = len(places_on(table, everything, tolerance))
        cells = [name, words, whole, f"{sizes.mean():.1f}", *(f"{100 * share:.0f} %" for share in (off, *noise))]
        lines.append(f"| {' | '.join(map(str, cells))} | {100 * volume:.2f} % |")
    return lines


def noise_of(table: Table, studies: list[list[int]], tolerance: Tolerance) -> float:
    """The share of the points on the fronts of all studies that is noise."""
    fronts = [places_on(table, study, tolerance) for study in studies]
    noise = sum(by_noise(table, study, front) for study, front in zip(studies, fronts, strict=True))
    return noise / sum(map(len, fronts))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--methods", type=int, default=8, help="number of methods in a study")
    options = parser.parse_args()
    print(
        "| table | tolerance | front of all rows | front of 40 trials | left off | noise left | noise without drift"
        " | hypervolume kept |"
    )
    print("|" + " --- |" * 8)
    for name in TABLES:
        print(*rows(name, options.seeds, options.methods), sep="\n")


if __name__ == "__main__":
    main()
