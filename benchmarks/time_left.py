"""Compare the time left that a search shows with the time that it then took, on replayed searches.

    python -m benchmarks.time_left

The searches are those of `benchmarks/proposals.py`: 40 trials over eight of the table's methods, which differ from seed
to seed. A trial takes the recorded seconds of training and evaluation of its epochs. What
`peftsearch.results.outlook.pace` forecasts stands beside a simple rule: the mean of all trials so far.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import optuna
from benchmarks.curves import TABLES
from benchmarks.proposals import Nearest, Visit, eight, over, search, study_of
from benchmarks.replay import TRIALS, Table

from peftsearch.results.outlook.pace import UNSURE, seconds_left
from peftsearch.search.pruning import dominated
from peftsearch.search.samplers import tpe
from peftsearch.storage.records import Record

MARKS = (1, 2, 4, 8, 20)
"""The time left is read after these numbers of trials."""

NOON = datetime(2026, 1, 1, 12)

Forecast = Callable[[Sequence[Record]], float | None]
"""The trials that have ended and those that wait → the seconds left of a search of 40 trials."""


def mean_of_all(records: Sequence[Record]) -> float:
    return (TRIALS - sum(r.done for r in records)) * float(np.mean([seconds(r) for r in records if r.done]))


def seconds(record: Record) -> float:
    return sum(report.train_seconds + report.evaluation_seconds for report in record.curve)


def so_far(visits: Sequence[Visit], ended: int, starting: int) -> list[Record]:
    """The trials of a search as they stand when so many have ended: the starting points are known from the start."""
    known = [replace(visit.shown, starting_point=number < starting) for number, visit in enumerate(visits)]
    return [
        replace(record, started=NOON, ended=NOON + timedelta(seconds=seconds(record)))
        if record.number < ended
        else Record(record.number, "waiting", record.config, starting_point=True)
        for record in known
        if record.number < max(ended, starting)
    ]


def ratios(table: Table, name: str, seeds: int, forecast: Forecast) -> dict[int, list[float]]:
    """After each number of trials in `MARKS`, for each search: the time forecast divided by the time that it took."""
    spec = study_of(name, table)
    nearest = Nearest(table, spec)
    found: dict[int, list[float]] = {mark: [] for mark in MARKS}
    for seed in range(seeds):
        few = over(spec, eight(spec, seed))
        visits = search(table, few, nearest, tpe, seed, rule=dominated)
        for mark in MARKS:
            told = forecast(so_far(visits, mark, len(few.baselines)))
            if told is not None:
                found[mark].append(told / sum(seconds(visit.shown) for visit in visits[mark:]))
    return found


def shown(name: str, found: dict[int, list[float]]) -> str:
    cells = []
    for each in found.values():
        low, middle, high = np.quantile(each, [0.1, 0.5, 0.9])
        within = np.mean([1 / UNSURE <= ratio <= UNSURE for ratio in each])
        cells.append(f"{middle:.2f} ({low:.2f}–{high:.2f}), {100 * within:.0f} %")
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), help="names of recorded tables")
    parser.add_argument("--seeds", type=int, default=32)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    print("| forecast / truth: median (10th–90th percentile), share within", UNSURE, end=" ")
    print("| " + " | ".join(f"{mark} trials" for mark in MARKS) + " |")
    print("|---" * (len(MARKS) + 1) + "|")
    ways: dict[str, Forecast] = {
        "mean of all": mean_of_all,
        "pace": lambda records: seconds_left(records, TRIALS - sum(r.done for r in records)),
    }
    for name in options.tables:
        table = Table(name)
        for way, forecast in ways.items():
            print(shown(f"{name}, {way}", ratios(table, name, options.seeds, forecast)), flush=True)


if __name__ == "__main__":
    main()
