"""Replay samplers on recorded learning curves, as `benchmarks/replay.py` replays rules that stop trials.

    python -m benchmarks.proposals --seeds 32 --samplers tpe ehvi

A replay is a search of 40 trials over eight of the table's methods, which differ from seed to seed. It runs their
default configurations first and then what the sampler proposes. The result of a proposal is the recorded row of the
same method with the nearest settings, which the rule `dominated` sees epoch by epoch as in a real search. A sampler
that asks what a proposal would train is told the parameters of that row, as a real search counts them.

The searches are kept in `benchmarks/results`, each trial as its row and the number of epochs that it trained, so that
`--again` shows them anew where only what is shown has changed.
"""

from __future__ import annotations

import argparse
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
from benchmarks.reached import Search, pairs, points_of, shown, volume_of, volumes
from benchmarks.replay import HERE, OBJECTIVES, TRIALS, Table, show
from benchmarks.rules import Rule, every_epoch_dominated
from benchmarks.samplers import COMPARED, METHODS, Make

from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Choice, Dimension, Range, Scalar
from peftsearch.core.front.pareto import Array
from peftsearch.methods.table import METHODS as METHODS_TABLE
from peftsearch.search.ehvi.counting import Count, Given
from peftsearch.search.pruning import dominated
from peftsearch.search.samplers import ReckonsCosts, tpe
from peftsearch.storage.database import open_study
from peftsearch.storage.prepare import enqueue_baselines
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import write_every_epoch
from peftsearch.storage.trial_attributes import (
    fixed_baseline,
    write_config,
    write_curve,
    write_measurement,
    write_so_far,
)
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.starting_points.baselines import Vocabulary
from peftsearch.study.starting_points.portfolio import Entry, portfolio_points
from peftsearch.study.suggest import suggest
from peftsearch.study.values import middle

UNTAUGHT = "from the middle of each range"
TAUGHT = ", with a portfolio"

KINDS = (
    ("Whole trials, equal seconds for equal work", True, False),
    ("Every epoch a point, equal seconds for equal work", True, True),
    ("Whole trials, seconds as they were recorded", False, False),
)
"""What is counted: a heading, whether equal work has equal seconds, and whether every epoch is a point."""


class Nearest:
    """Finds the row of the table with the nearest settings, where each dimension is scaled to 0..1."""

    def __init__(self, table: Table, spec: StudySpec) -> None:
        self._spec = spec
        self._places: dict[str, list[int]] = {}
        for place, config in enumerate(record.config for record in table.records):
            if config is not None and config.method in spec.methods:
                self._places.setdefault(config.method, []).append(place)
        self._points = {
            method: np.stack([self._point(table.records[place].config) for place in places])
            for method, places in self._places.items()
        }

    def __call__(self, config: TrialConfig) -> int:
        away = np.linalg.norm(self._points[config.method] - self._point(config), axis=1)
        return self._places[config.method][int(away.argmin())]

    def _point(self, config: TrialConfig | None) -> Array:
        assert config is not None  # every row of a table has one
        space = self._spec.methods[config.method]
        return np.concatenate([_coordinates(d, config.settings[name]) for name, d in space.items()])


def _coordinates(dimension: Dimension, value: Scalar) -> Array:
    if isinstance(dimension, Range):
        scale = math.log if dimension.log else float
        low, high = scale(dimension.low), scale(dimension.high)
        return np.array([(scale(float(value)) - low) / (high - low)])
    if isinstance(dimension, Choice):
        return np.array([float(option == value) for option in dimension.options]) / math.sqrt(2)
    return np.zeros(0)


@dataclass(frozen=True)
class Visit:
    """A trial of a replayed search: its row in the table, and the record with the epochs that it ran."""

    place: int
    shown: Record


def search(
    table: Table,
    spec: StudySpec,
    nearest: Nearest,
    make: Make,
    seed: int,
    *,
    rule: Rule,
    trials: int = TRIALS,
    every_epoch: bool = False,
) -> list[Visit]:
    """Replay a search, with the default configuration of each method before all other trials.

    Args:
        every_epoch: whether each epoch is a point of the front that the sampler sees; `rule` does as it does.
    """
    study = open_study(optuna.storages.InMemoryStorage(), "replay", spec.objectives)
    write_every_epoch(study, every_epoch)
    study.sampler = make(seed, len(spec.baselines) + spec.search.startup_trials)
    if isinstance(study.sampler, ReckonsCosts):
        study.sampler.count_parameters = parameters_of(table, spec, nearest)
    enqueue_baselines(study, spec)
    visits: list[Visit] = []
    for number in range(trials):
        trial = study.ask()
        config = suggest(spec, trial, fixed_baseline(trial))
        place = nearest(config)
        record = show(table.records[place], rule, [visit.shown for visit in visits], number)
        visits.append(Visit(place, record))
        write_config(trial, config)
        write_curve(trial, record.curve)
        if record.measurement is not None:
            write_measurement(trial, record.measurement)
            study.tell(trial, [record.values[name] for name in OBJECTIVES])
        elif record.so_far is not None:
            write_so_far(trial, record.so_far)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return visits


def parameters_of(table: Table, spec: StudySpec, nearest: Nearest) -> Count:
    """Counts what a proposal would train: the parameters of its row."""
    return lambda params: int(table.records[nearest(suggest(spec, Given(params)))].values["trainable_parameters"])


def study_of(name: str, table: Table) -> StudySpec:
    """The study of a recorded table, over those of its methods of which enough rows are recorded."""
    spec = load_study(str(HERE / f"{name}.yaml"))
    rows = table.places_of()
    return over(spec, [method for method in spec.methods if method in rows])


def eight(spec: StudySpec, seed: int) -> list[str]:
    return list(np.random.default_rng(seed).choice(sorted(spec.methods), METHODS, replace=False))


def over(spec: StudySpec, methods: Sequence[str]) -> StudySpec:
    """The same study over some of its methods only."""
    return replace(
        spec,
        methods={name: space for name, space in spec.methods.items() if name in methods},
        baselines=tuple(b for b in spec.baselines if b.method in methods),
    )


def from_middles(spec: StudySpec) -> StudySpec:
    """The same study with every default configuration in the middle of its ranges, as before any table was recorded."""

    def settings(method: str) -> dict[str, Scalar]:
        space = spec.methods[method]
        return {n: middle(d) if isinstance(d, Range) else first[method][n] for n, d in space.items()}

    first = {baseline.method: baseline.settings for baseline in spec.baselines}
    return replace(spec, baselines=tuple(replace(b, settings=settings(b.method)) for b in spec.baselines))


def taught(spec: StudySpec, entries: Sequence[Entry]) -> StudySpec:
    """The same study with a portfolio after its default configurations."""
    known = Vocabulary(METHODS_TABLE, spec.methods, spec.backbones)
    return replace(spec, baselines=(*spec.baselines, *portfolio_points(known, spec.baselines, entries)))


def compare(
    table: Table,
    spec: StudySpec,
    seeds: int,
    names: Sequence[str],
    entries: Sequence[Entry] = (),
    *,
    every_epoch: bool = False,
) -> dict[str, list[Search]]:
    """Replay each sampler, and if there are `entries`, also with them as a portfolio, and TPE without any teaching."""
    nearest, rule = Nearest(table, spec), every_epoch_dominated if every_epoch else dominated

    def replayed(make: Make, seed: int, prepare: Callable[[StudySpec], StudySpec]) -> Search:
        few = prepare(over(spec, eight(spec, seed)))
        visits = search(table, few, nearest, make, seed, rule=rule, every_epoch=every_epoch)
        return [(visit.place, len(visit.shown.curve)) for visit in visits]

    ways: dict[str, tuple[Make, Callable[[StudySpec], StudySpec]]] = {}
    if entries:
        ways[f"tpe, {UNTAUGHT}"] = (tpe, from_middles)
    ways |= {name: (COMPARED[name], lambda few: few) for name in names}
    if entries:
        ways |= {name + TAUGHT: (COMPARED[name], lambda few: taught(few, entries)) for name in names}
    return {way: [replayed(make, seed, prepare) for seed in range(seeds)] for way, (make, prepare) in ways.items()}


def report(table: Table, spec: StudySpec, found: Mapping[str, Sequence[Search]]) -> str:
    """Markdown: what the ways reach if equal work has equal seconds, with whole trials and with every epoch as a
    point, and with the seconds as they were recorded."""
    parts = []
    for heading, quiet, epochs in KINDS:
        points = points_of(table, quiet=quiet, epochs=epochs)
        reached = {way: [volumes(points, run) for run in runs] for way, runs in found.items()}
        most = [most_of(table, points, eight(spec, seed)) for seed in range(len(next(iter(found.values()))))]
        compared = [(way, "tpe") for way in found if way != "tpe" and "tpe" in found]
        compared += [(way + TAUGHT, way) for way in found if way + TAUGHT in found and way != "tpe"]
        parts += [f"{heading}:", shown(reached, most), pairs(reached, compared)]
    return "\n\n".join(parts)


def most_of(table: Table, points: Sequence[Array], methods: Sequence[str]) -> float:
    """The volume of all rows of these methods, which no search of them can exceed."""
    rows = [p for p, record in enumerate(table.records) if record.config and record.config.method in methods]
    together = np.concatenate([points[row] for row in rows])
    return volume_of(together[~np.isnan(together).any(axis=1)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="curves", help="name of the recorded table and of its study file")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--samplers", nargs="+", choices=COMPARED, default=list(COMPARED), metavar="NAME")
    parser.add_argument("--portfolio", type=Path, help="replay each sampler with this portfolio too")
    parser.add_argument("--again", action="store_true", help="show the kept searches of an earlier run once more")
    parser.add_argument("--every-epoch", action="store_true", help="search with each epoch of a trial as a point")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    table = Table(options.table)
    spec = study_of(options.table, table)
    kind = ("portfolio" if options.portfolio else "proposals") + ("-every-epoch" if options.every_epoch else "")
    kept = HERE / "results" / f"{kind}-{options.table}.json"
    if not options.again:
        entries = json.loads(options.portfolio.read_text()) if options.portfolio else ()
        kept.write_text(
            json.dumps(compare(table, spec, options.seeds, options.samplers, entries, every_epoch=options.every_epoch))
        )
    print(report(table, spec, json.loads(kept.read_text())))


if __name__ == "__main__":
    main()
