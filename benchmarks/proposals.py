"""Replay samplers on recorded learning curves, as `benchmarks/replay.py` replays rules that stop trials.

    python -m benchmarks.proposals

A replay is a search of 40 trials over eight of the table's methods, which differ from seed to seed. It runs their
default configurations first and then what the sampler proposes. The result of a proposal is the recorded row of the
same method with the nearest settings, which the rule `dominated` sees epoch by epoch as in a real search. A sampler
that asks what a proposal would train is told the parameters of that row, as a real search counts them.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from benchmarks.replay import HERE, OBJECTIVES, TRIALS, Table, mean, show

from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Choice, Dimension, Range, Scalar
from peftsearch.core.pareto import Array
from peftsearch.methods.table import METHODS as METHODS_TABLE
from peftsearch.search.ehvi.counting import Count, Given
from peftsearch.search.pruning import Rule, dominated
from peftsearch.search.samplers import ReckonsCosts, ehvi, random, tpe
from peftsearch.storage.database import open_study
from peftsearch.storage.prepare import enqueue_baselines
from peftsearch.storage.records import Record
from peftsearch.storage.trial_attributes import fixed_baseline, write_config, write_curve
from peftsearch.study.baselines import Vocabulary
from peftsearch.study.portfolio import Entry, portfolio_points
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.study.suggest import suggest

METHODS = 8
MARKS = (20, TRIALS)
"""The hypervolume is read after these numbers of trials."""

Make = Callable[[int, int], Any]
"""A function of a seed and a number of start-up trials to a sampler."""


def random_quota(seed: int, startup_trials: int) -> Any:
    """Take the methods in turn and draw everything else at random."""
    return Quota(optuna.samplers.RandomSampler(seed=seed))


def tpe_quota(seed: int, startup_trials: int) -> Any:
    """Take the methods in turn and draw their settings by TPE."""
    return Quota(tpe(seed, startup_trials))


def tpe_from(random_trials: int) -> Make:
    """TPE that begins after the default configurations and this many random trials."""
    return lambda seed, startup_trials: tpe(seed, METHODS + random_trials)


def tpe_grouped(seed: int, startup_trials: int) -> Any:
    return optuna.samplers.TPESampler(n_startup_trials=startup_trials, multivariate=True, group=True, seed=seed)


def gaussian_process(seed: int, startup_trials: int) -> Any:
    """Models only the dimensions that all trials share; the conditional ones are drawn at random."""
    return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup_trials)


class Quota(optuna.samplers.BaseSampler):
    """Takes the methods in turn and leaves everything else to another sampler."""

    def __init__(self, base: Any) -> None:
        self.base = base

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        return dict(self.base.infer_relative_search_space(study, trial))

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, Any]:
        if "method" not in search_space:
            return dict(self.base.sample_relative(study, trial, search_space))
        given = copy.copy(trial)
        given.params = {**trial.params, "method": self._turn(trial, search_space["method"])}
        return {**self.base.sample_relative(study, given, search_space), "method": given.params["method"]}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        if param_name == "method":
            return self._turn(trial, param_distribution)
        return self.base.sample_independent(study, trial, param_name, param_distribution)

    @staticmethod
    def _turn(trial: Any, methods: Any) -> Any:
        return methods.choices[trial.number % len(methods.choices)]


class Begun(optuna.samplers.TPESampler):
    """TPE that draws a dimension at random, or near its first value, until `least` trials have had it.

    The first trial of a method is its default configuration, so that to draw near its values is a prior on the region
    that is known to be good.
    """

    def __init__(self, least: int, near: float | None, *, seed: int, n_startup_trials: int) -> None:
        super().__init__(multivariate=False, seed=seed, n_startup_trials=n_startup_trials)
        self.least, self.near = least, near
        self.random = optuna.samplers.RandomSampler(seed=seed)

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        ended = (t for t in study.get_trials(deepcopy=False) if t.state.is_finished())
        had = [t.params[param_name] for t in ended if param_name in t.params]
        if len(had) >= self.least:
            return super().sample_independent(study, trial, param_name, param_distribution)
        drawn = self.random.sample_independent(study, trial, param_name, param_distribution)
        if self.near is None or not had or not isinstance(param_distribution, optuna.distributions.FloatDistribution):
            return drawn
        low, high = param_distribution.low, param_distribution.high
        if param_distribution.log:
            return float(np.clip(had[0] * (drawn / math.sqrt(low * high)) ** self.near, low, high))
        return float(np.clip(had[0] + (drawn - (low + high) / 2) * self.near, low, high))


def begun(least: int, near: float | None = None) -> Make:
    return lambda seed, startup_trials: Begun(least, near, seed=seed, n_startup_trials=startup_trials)


def uncounted(seed: int, startup_trials: int) -> Any:
    """Expected hypervolume improvement that forecasts parameters instead of counting them."""
    from peftsearch.search.ehvi.sampler import HypervolumeSampler

    class Uncounted(HypervolumeSampler):
        count_parameters = property(lambda self: None, lambda self, count: None)  # type: ignore[assignment]

    return Uncounted(seed=seed, startup_trials=startup_trials)


def tpe_alone(seed: int, startup_trials: int) -> Any:
    """Optuna's TPE, which draws each dimension by itself."""
    return optuna.samplers.TPESampler(n_startup_trials=startup_trials, multivariate=False, seed=seed)


COMPARED: dict[str, Make] = {
    "tpe": tpe,
    "ehvi": ehvi,
    "ehvi, parameters not counted": uncounted,
    "random": random,
    "tpe, each dimension by itself": tpe_alone,
    "the same, 3 random trials a method": begun(3),
    "the same, 3 trials a method near its default": begun(3, near=0.3),
    "tpe, no random trials": tpe_from(0),
    "tpe, 12 random trials": tpe_from(12),
    "tpe, grouped": tpe_grouped,
    "tpe, methods in turn": tpe_quota,
    "random, methods in turn": random_quota,
    "gaussian process": gaussian_process,
}


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
    table: Table, spec: StudySpec, nearest: Nearest, make: Make, seed: int, *, rule: Rule, trials: int = TRIALS
) -> list[Visit]:
    """Replay a search, with the default configuration of each method before all other trials."""
    study = open_study(optuna.storages.InMemoryStorage(), "replay", spec.objectives)
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
        if record.state == "complete":
            study.tell(trial, [record.values[name] for name in OBJECTIVES])
        else:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    return visits


def parameters_of(table: Table, spec: StudySpec, nearest: Nearest) -> Count:
    """Counts what a proposal would train: the parameters of its row."""
    return lambda params: int(table.records[nearest(suggest(spec, Given(params)))].values["trainable_parameters"])


def eight(spec: StudySpec, seed: int) -> list[str]:
    return list(np.random.default_rng(seed).choice(sorted(spec.methods), METHODS, replace=False))


def over(spec: StudySpec, methods: Sequence[str]) -> StudySpec:
    """The same study over some of its methods only."""
    return replace(
        spec,
        methods={name: space for name, space in spec.methods.items() if name in methods},
        baselines=tuple(b for b in spec.baselines if b.method in methods),
    )


def finished(visits: Sequence[Visit]) -> list[int]:
    return [visit.place for visit in visits if visit.shown.state == "complete"]


def shown(found: dict[str, list[list[float]]]) -> str:
    """A Markdown table: means and standard errors, and the differences from `tpe` seed by seed, in 1e-4."""
    header = ["sampler"]
    for mark in MARKS:
        header += [f"hypervolume after {mark} trials", "less `tpe`'s × 10⁻⁴"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for name, volumes in found.items():
        beside = found.get("tpe", volumes)
        cells = [name]
        for mine, its in zip(zip(*volumes, strict=True), zip(*beside, strict=True), strict=True):
            differences = [1e4 * (a - b) for a, b in zip(mine, its, strict=False)]
            cells += [mean(mine, 4), mean(differences, 0)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def compare(
    table: Table, spec: StudySpec, seeds: int, names: Sequence[str], entries: Sequence[Entry] = ()
) -> dict[str, list[list[float]]]:
    """Replay each sampler without a portfolio, and with `entries` as one if there are any."""
    nearest = Nearest(table, spec)

    def volumes(make: Make, seed: int, taught: Sequence[Entry]) -> list[float]:
        few = over(spec, eight(spec, seed))
        known = Vocabulary(METHODS_TABLE, few.methods, few.backbones)
        few = replace(few, baselines=(*few.baselines, *portfolio_points(known, few.baselines, taught)))
        visits = search(table, few, nearest, make, seed, rule=dominated)
        return [table.volume(finished(visits[:mark])) for mark in MARKS]

    ways = {name: (COMPARED[name], ()) for name in names}
    ways |= {f"{name}, with a portfolio": (COMPARED[name], entries) for name in names if entries}
    return {way: [volumes(make, seed, taught) for seed in range(seeds)] for way, (make, taught) in ways.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", default="curves", help="name of the recorded table and of its study file")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--samplers", nargs="+", choices=COMPARED, default=list(COMPARED), metavar="NAME")
    parser.add_argument("--portfolio", type=Path, help="replay each sampler with this portfolio too")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    spec = load_study(str(HERE / f"{options.table}.yaml"))
    entries = json.loads(options.portfolio.read_text()) if options.portfolio else ()
    found = compare(Table(options.table), spec, options.seeds, options.samplers, entries)
    (HERE / "results" / f"proposals-{options.table}.json").write_text(json.dumps(found))
    print(shown(found))


if __name__ == "__main__":
    main()
