"""When does a replayed search become flat, what does its end forgo, and how good is the forecast of 20 more trials?

    python -m benchmarks.flat

The searches are those of `benchmarks/proposals.py`, but of 100 trials: over eight of the table's methods, which differ
from seed to seed. The first table says after how many trials `--until-flat` ends them, and which share of the
hypervolume of all 100 trials it forgoes. The second one compares `peftsearch.results.outlook.prospect` with what 20
more trials then brought, on the searches of the two tables that have rows enough for so many trials. Two settings whose
nearest recorded row is the same bring the same, so a replay becomes flat somewhat sooner than a real search.

The searches are kept in `benchmarks/results/flat-SAMPLER-NAME.json`, and those that are there are not replayed again.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import optuna
from benchmarks.curves import LONG_TABLES
from benchmarks.proposals import METHODS, Nearest, eight, over, search, study_of
from benchmarks.replay import HERE, OBJECTIVES, TRIALS, Table, slowed

from peftsearch.core.front.pareto import Array
from peftsearch.core.front.tolerance import AS_MEASURED, EXACT, Tolerance
from peftsearch.core.strategies import SAMPLERS, load_strategy
from peftsearch.results.outlook.prospect import MORE, prospect
from peftsearch.search.flatness import LEAST, WINDOW, added_after, added_by_last
from peftsearch.search.pruning import dominated
from peftsearch.storage.records import Record

LONG = 100
"""Trials of a search."""

When = Callable[[Sequence[Record]], int]
"""After how many of its trials a search ends."""

MARKS = (24, 32, 40, 52, 60, 80)
"""The forecast is made after these numbers of trials."""


def searches(name: str, sampler: str, seeds: int) -> list[list[Record]]:
    """The trials of each search, which are kept as pairs of row and state."""
    file, table = HERE / "results" / f"flat-{sampler}-{name}.json", Table(name)
    kept: list[list[tuple[int, str]]] = json.loads(file.read_text()) if file.exists() else []
    if len(kept) < seeds:
        spec = study_of(name, table)
        nearest, make = Nearest(table, spec), load_strategy(SAMPLERS, sampler)
        for seed in range(len(kept), seeds):
            visits = search(table, over(spec, eight(spec, seed)), nearest, make, seed, rule=dominated, trials=LONG)
            kept.append([(visit.place, visit.shown.state) for visit in visits])
            file.write_text(json.dumps(kept))
    return [as_records(table, visited) for visited in kept[:seeds]]


def as_records(table: Table, visited: Sequence[tuple[int, str]]) -> list[Record]:
    """The trials of one search; those of before the first proposal are its starting points."""
    return [
        replace(table.records[place], number=number, starting_point=number < METHODS)
        if state == "complete"
        else Record(number, "pruned", table.records[place].config, starting_point=number < METHODS)
        for number, (place, state) in enumerate(visited)
    ]


def end_of(trials: Sequence[Record], tolerance: Tolerance = AS_MEASURED) -> int:
    """After how many trials `--until-flat` ends a search; all of them if it never does."""
    for count in range(1, len(trials) + 1):
        added = added_by_last(trials[:count], OBJECTIVES, every_epoch=True, tolerance=tolerance)
        if added is not None and added < LEAST:
            return count
    return len(trials)


def end_by_the_clock(trials: Sequence[Record]) -> int:
    """The same if every second counted, by noise or not."""
    return end_of(trials, EXACT)


def end_by_finished(trials: Sequence[Record]) -> int:
    """The same if only trials that have finished counted among the last ones."""
    finished = [trial for trial in trials if trial.state == "complete"]
    end = end_of(finished)
    return finished[end - 1].number + 1 if end < len(finished) else len(trials)


def forgone(trials: Sequence[Record], count: int) -> float:
    """The share of the hypervolume of all trials that the first `count` do not reach."""
    return added_after(trials, count, OBJECTIVES, every_epoch=True)


def quiet(table: Table, runs: Sequence[Sequence[Record]]) -> list[list[Record]]:
    """The same trials with equal seconds for equal work."""
    logs = np.log10([record.values["train_seconds"] for record in table.records])
    seconds = 10 ** (logs.min() + np.ptp(logs) * table.quiet[:, 2])
    of_key = {record.config.key(): float(s) for record, s in zip(table.records, seconds, strict=True) if record.config}

    def at_rest(trial: Record) -> Record:
        if trial.state != "complete" or trial.config is None:
            return trial
        return slowed(trial, of_key[trial.config.key()] / trial.values["train_seconds"])

    return [[at_rest(trial) for trial in run] for run in runs]


def flat_row(name: str, runs: Sequence[Sequence[Record]], at_rest: Sequence[Sequence[Record]], when: When) -> str:
    ends = [when(run) for run in runs]
    low, high = np.quantile(ends, [0.1, 0.9])
    cells = [name, f"{np.mean(ends):.0f} ({low:.0f}–{high:.0f})"]
    for measured in (runs, at_rest):
        lost = [100 * forgone(run, end) for run, end in zip(measured, ends, strict=True)]
        cells += [f"{np.mean(lost):.2f} %", f"{max(lost):.1f} %"]
    return f"| {' | '.join(cells)} |"


def best_of(trials: Sequence[Record]) -> float:
    return max((trial.values["macro_f1"] for trial in trials if trial.state == "complete"), default=0.0)


def forecasts(runs: Sequence[Sequence[Record]], mark: int) -> tuple[Array, Array]:
    """Forecast, truth and limit after `mark` trials, of the quality and of the hypervolume. Shapes (searches, 3)."""
    quality, volume = [], []
    for run in runs:
        told = prospect(run[:mark], OBJECTIVES, every_epoch=True)
        if told is None:
            continue
        more = run[: mark + MORE]
        added = added_after(more, mark, OBJECTIVES, every_epoch=True)
        quality.append((told.quality, best_of(more) - best_of(run[:mark]), told.quality_at_most))
        volume.append((told.volume, added / (1 - added), told.volume_at_most))
    return np.array(quality, dtype=float), np.array(volume, dtype=float)


def forecast_row(heading: str, both: Sequence[Array]) -> str:
    """Means in hundredths, and in how many searches the truth was within the limit."""
    cells = []
    for found in both:
        found = found[~np.isnan(found).any(axis=1)]  # nothing is told where the best trials are the same row
        within = 100 * np.mean(found[:, 1] <= found[:, 2])
        cells.append(" | ".join([*(f"{100 * mean:.2f}" for mean in found.mean(axis=0)), f"{within:.0f} %"]))
    return f"| {heading} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=list(LONG_TABLES), help="names of recorded tables")
    parser.add_argument("--sampler", choices=SAMPLERS, default="ehvi")
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument(
        "--skip", type=int, default=0, help="leave out so many of these, those that a constant was fitted to"
    )
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    found = {name: searches(name, options.sampler, options.seeds)[options.skip :] for name in options.tables}
    print(f"| search | trials (10th–90th percentile) | forgone of {LONG} trials | at most", end="")
    print(" | with equal seconds for equal work | at most |\n" + "|---" * 6 + "|")
    for name, runs in found.items():
        at_rest = quiet(Table(name), runs)
        print(flat_row(f"{name}, until the last {WINDOW} added less than {100 * LEAST:g} %", runs, at_rest, end_of))
        print(flat_row(f"{name}, if every second counted", runs, at_rest, end_by_the_clock))
        print(flat_row(f"{name}, if only trials that finished counted", runs, at_rest, end_by_finished))
        print(flat_row(f"{name}, always {TRIALS}", runs, at_rest, lambda run: TRIALS))
    print(f"\n| {MORE} more trials: | after | points of F1: forecast | true | at most | within", end="")
    print(" | % of hypervolume: forecast | true | at most | within |\n" + "|---" * 10 + "|")
    everything = []
    for name, runs in found.items():
        for mark in MARKS:
            both = forecasts(runs, mark)
            everything.append(both)
            print(forecast_row(f"{name} | {mark}", both))
    print(forecast_row("all | all", [np.concatenate(each) for each in zip(*everything, strict=True)]))


if __name__ == "__main__":
    main()
