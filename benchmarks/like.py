"""What does `--like` gain? Replay a search on one data set that begins with what a search on another one found best.

    python -m benchmarks.like

The searches are those of `benchmarks/proposals.py`: over eight of the tables' methods, which differ from seed to seed.
Each search is replayed on every table as it is by default, and once more with the starting points that `--like` adds
after a default search of 40 trials over the same methods on another table. Differences are of the same seed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations

import optuna
from benchmarks.proposals import Nearest, Visit, eight, over, search
from benchmarks.replay import HERE, OBJECTIVES, TRIALS, Table, mean

from peftsearch.core.config import TrialConfig
from peftsearch.core.front.pareto import front_of
from peftsearch.core.strategies import SAMPLERS, load_strategy
from peftsearch.optimize.like import fitted, with_first
from peftsearch.search.pruning import dominated
from peftsearch.study.spec import StudySpec, load_study

MARKS = (10, 20, TRIALS)
"""The hypervolume is read after these numbers of trials."""

Found = dict[str, list[list[float]]]
"""Way → for each seed the hypervolumes after `MARKS`, with equal seconds for equal work."""


def best_of(visits: Sequence[Visit]) -> list[TrialConfig]:
    """What `--like` takes of a search: the front, and the best of each method, best quality first."""
    done = [visit.shown for visit in visits if visit.shown.state == "complete"]
    on_front = front_of([[record.values[name] for name in OBJECTIVES] for record in done], OBJECTIVES)
    order = sorted(range(len(done)), key=lambda place: -done[place].values["macro_f1"])
    found, methods = [], set()
    for place in order:
        config = done[place].config
        assert config is not None  # every row of a table has one
        if on_front[place] or config.method not in methods:
            found.append(config)
        methods.add(config.method)
    return found


def begun_with(spec: StudySpec, configs: Sequence[TrialConfig]) -> StudySpec:
    """`spec` with these configurations of another study as starting points, as `--like` adds them."""
    points = [fitted(spec, config) for config in configs]
    return replace(spec, baselines=with_first(spec, [point for point in points if not isinstance(point, str)]))


def compare(names: Sequence[str], seeds: int, sampler: str) -> Found:
    """Replay the default search on every table, and the search that begins like one on each other table."""
    tables = {name: Table(name) for name in names}
    specs = {name: load_study(str(HERE / f"{name}.yaml")) for name in names}
    nearest = {name: Nearest(tables[name], specs[name]) for name in names}
    make = load_strategy(SAMPLERS, sampler)
    found: Found = {}

    def replayed(way: str, name: str, spec: StudySpec, seed: int) -> list[Visit]:
        visits = search(tables[name], spec, nearest[name], make, seed, rule=dominated)
        done = [visit.place for visit in visits if visit.shown.state == "complete"]
        ended = [sum(visit.shown.state == "complete" for visit in visits[:mark]) for mark in MARKS]
        found.setdefault(way, []).append([tables[name].volume(done[:count], quiet=True) for count in ended])
        return visits

    for seed in range(seeds):
        few = {name: over(spec, eight(spec, seed)) for name, spec in specs.items()}
        earlier = {name: replayed(name, name, few[name], seed) for name in names}
        for name, other in permutations(names, 2):
            replayed(f"{name}, like {other}", name, begun_with(few[name], best_of(earlier[other])), seed)
    return found


def shown(found: Found) -> str:
    """A Markdown table: means with standard errors, and the differences from the default search of the table."""
    header = ["search"]
    for mark in MARKS:
        header += [f"hypervolume after {mark} trials", "less the default's, × 10⁻⁴"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for way, runs in found.items():
        cells, base = [way], found[way.partition(", like ")[0]]
        for place in range(len(MARKS)):
            gains = [1e4 * (a[place] - b[place]) for a, b in zip(runs, base, strict=True)]
            cells += [mean([run[place] for run in runs], 4), mean(gains, 0)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", default=["curves", "curves-glosses"], help="names of recorded tables")
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--sampler", choices=SAMPLERS, default="ehvi")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    found = compare(options.tables, options.seeds, options.sampler)
    (HERE / "results" / "like.json").write_text(json.dumps(found))
    print(shown(found))


if __name__ == "__main__":
    main()
