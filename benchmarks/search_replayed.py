"""Replay the three searches of `benchmarks/search.py` on recorded learning curves: 50 seeds in minutes.

    python -m benchmarks.search_replayed

The methods are the six that `benchmarks/per_trial.py` has measured. A trial of peftsearch takes the recorded seconds of
training of its row. A trial of the plain Trainer takes, for each epoch, the seconds that `per_trial` measured for its
method, scaled to the number of rows. Evaluation and the time between trials are left out on both sides. A trial has at
most the table's 8 epochs. If 40 trials of peftsearch do not reach the hypervolume of the plain search, it runs up to 40
more, as a user could.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import warnings
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import optuna
from benchmarks.per_trial import METHODS
from benchmarks.proposals import Nearest, Visit, over, search
from benchmarks.replay import HERE, TRIALS, Table, mean

from peftsearch.core.measurement import EpochReport
from peftsearch.core.strategies import SAMPLERS, load_strategy
from peftsearch.search.pruning import dominated
from peftsearch.storage.records import Record
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.suggest import suggest

ROWS = 1000
"""Training rows of the table."""

Timeline = list[tuple[float, float]]
"""After each trial: the seconds so far, and the hypervolume of the complete trials."""


def plain_epochs() -> dict[str, float]:
    """Method → the seconds that a plain Trainer takes for one epoch over the table's rows."""
    runs = json.loads((HERE / "results" / "per_trial.json").read_text())
    found = {}
    for method in METHODS:
        mine = [r for r in runs if (r["way"], r["method"]) == ("plain", method)]
        found[method] = ROWS * statistics.median(r["train_seconds"] / r["epochs"] / r["rows"] for r in mine)
    return found


def plainly(table: Table, spec: StudySpec, nearest: Nearest, seed: int, *, several: bool) -> list[Visit]:
    """Replay `benchmarks.search.search_plainly`: with all objectives, or with F1 alone and median pruning."""
    study = optuna.create_study(
        directions=spec.directions if several else ["maximize"], sampler=optuna.samplers.TPESampler(seed=seed)
    )
    visits = []
    for number in range(TRIALS):
        trial = study.ask()
        place = nearest(suggest(spec, trial))
        whole = table.records[place]
        seen, stopped = whole.curve, False
        if several:
            study.tell(trial, list(whole.values.values()))
        else:
            seen, stopped = _until_pruned(trial, whole.curve)
            study.tell(trial, *([] if stopped else [whole.values["macro_f1"]]), state=_state(stopped))
        visits.append(Visit(place, Record(number, "pruned" if stopped else "complete", whole.config, curve=seen)))
    return visits


def _until_pruned(trial: optuna.Trial, curve: Sequence[EpochReport]) -> tuple[tuple[EpochReport, ...], bool]:
    for report in curve[:-1]:
        trial.report(report.metrics["macro_f1"], report.epoch)
        if trial.should_prune():
            return tuple(curve[: report.epoch]), True
    return tuple(curve), False


def _state(stopped: bool) -> optuna.trial.TrialState:
    return optuna.trial.TrialState.PRUNED if stopped else optuna.trial.TrialState.COMPLETE


def timeline(table: Table, visits: Sequence[Visit], plain: dict[str, float] | None) -> Timeline:
    seconds, complete, found = [], [], []
    for visit in visits:
        assert visit.shown.config is not None
        epoch = plain[visit.shown.config.method] if plain else None
        seconds.append(sum(report.train_seconds if epoch is None else epoch for report in visit.shown.curve))
        if visit.shown.state == "complete":
            complete.append(visit.place)
        found.append(table.volume(complete))
    return list(zip(accumulate(seconds), found, strict=True))


def share(run: Timeline, plain: Timeline) -> float:
    """The share of plain's time in which `run` reaches plain's final hypervolume; infinite if it never does."""
    after = next((seconds for seconds, volume in run if volume >= plain[-1][1]), math.inf)
    return after / plain[-1][0]


def compare(table: Table, spec: StudySpec, seeds: int) -> dict[str, list[Timeline]]:
    nearest, plain = Nearest(table, spec), plain_epochs()
    found: dict[str, list[Timeline]] = {"plain": [], "median": [], "peftsearch": []}
    for seed in range(seeds):
        for way, several in (("plain", True), ("median", False)):
            visits = plainly(table, spec, nearest, seed, several=several)
            found[way].append(timeline(table, visits, plain))
        make = load_strategy(SAMPLERS, spec.search.sampler)
        visits = search(table, spec, nearest, make, seed, rule=dominated, trials=2 * TRIALS)
        found["peftsearch"].append(timeline(table, visits, None))
    return found


def shown(found: dict[str, list[Timeline]]) -> str:
    """A Markdown table; times are shares of the time of plain's 40 trials, with quartiles."""
    header = ("way", "time of 40 trials", "hypervolume then", "has plain's then", "has it after", "within a quarter")
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for way, runs in found.items():
        pairs = list(zip(runs, found["plain"], strict=True))
        shares = [share(run, plain) for run, plain in pairs]
        cells = (
            mean([run[TRIALS - 1][0] / plain[-1][0] for run, plain in pairs], 3),
            mean([run[TRIALS - 1][1] for run in runs], 4),
            f"{sum(run[TRIALS - 1][1] >= plain[-1][1] for run, plain in pairs)} of {len(runs)}",
            "{:.2f} ({:.2f}–{:.2f})".format(*np.quantile(shares, [0.5, 0.25, 0.75], method="nearest")).replace(
                "inf", "never"
            ),
            f"{sum(one <= 0.25 for one in shares)} of {len(runs)}",
        )
        lines.append(f"| {way} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="curves", help="name of the recorded table and of its study file")
    parser.add_argument("--seeds", type=int, default=50)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    spec = over(load_study(str(HERE / f"{options.table}.yaml")), list(METHODS))
    found = compare(Table(options.table), spec, options.seeds)
    (HERE / "results" / f"search-{options.table}.json").write_text(json.dumps(found))
    print(shown(found))


if __name__ == "__main__":
    main()
