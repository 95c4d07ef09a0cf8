"""How much of a search's front is noise of the clock, and how many trials have another one of equal work.

    python -m benchmarks.equal_work sqlite:///runs/quickstart.db

Trials do equal work if their configurations differ only in what changes no step's cost (`FREE`). Were their seconds
alike, as those of each of their epochs are by its median over these trials, some points would leave the front: those
that a point of another trial then dominates are *noise*. The command trains nothing.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import optuna
from benchmarks.timing_noise import ratios

from peftsearch.core.config import TrialConfig
from peftsearch.core.front.pareto import dominates, front_of, losses_of
from peftsearch.results.times.again import with_seconds
from peftsearch.search.forecast import config_of
from peftsearch.storage.database import objective_names
from peftsearch.storage.points import points_of
from peftsearch.storage.records import Record, records
from peftsearch.storage.study_attributes import read_every_epoch

FREE = frozenset(
    {
        *("learning_rate", "head_learning_rate_ratio", "b_learning_rate_ratio", "layer_decay", "alpha_ratio"),
        *("weight_decay", "warmup", "schedule", "label_smoothing", "class_weights", "seed"),
    }
)
"""Settings that change no step's cost."""


@dataclass(frozen=True)
class Found:
    """What a study's front owes to the clock.

    Attributes:
        trials: how many were trained.
        in_company: how many of them have another one of equal work.
        apart: the longer over the shorter time of every two trials of equal work, of as many epochs.
        front: how many points are on the front.
        front_in_company: how many of them are of a trial that has another one of equal work.
        noise: how many of them another trial dominates once equal work has equal seconds.
    """

    trials: int
    in_company: int
    apart: Sequence[float]
    front: int
    front_in_company: int
    noise: int


def work_of(config: TrialConfig) -> str:
    """Equal for configurations that do equal work in every epoch."""
    data = config.to_dict()
    parts = [
        {name: value for name, value in data[part].items() if name not in FREE} for part in ("settings", "training")
    ]
    return repr([data["backbone"], data["method"], data["max_length"], *(sorted(part.items()) for part in parts)])


def noise_in(trials: Sequence[Record], objectives: Sequence[str], *, every_epoch: bool) -> Found:
    """What the front of these trials owes to the clock; all of them have a curve and a configuration."""
    alike: dict[str, list[Record]] = defaultdict(list)
    for trial in trials:
        alike[work_of(config_of(trial))].append(trial)
    points = points_of(trials, objectives, every_epoch=every_epoch)
    company = {trial.number for group in alike.values() if len(group) > 1 for trial in group}
    shared = {trial.number: seconds for group in alike.values() for trial in group for seconds in [median_of(group)]}
    losses = losses_of(
        [[with_seconds(p, shared[p.number][: len(p.curve)]).values[n] for n in objectives] for p in points], objectives
    )
    numbers = np.array([point.number for point in points])
    values = [[point.values[name] for name in objectives] for point in points]
    front = np.flatnonzero(front_of(values, objectives, points=[point.point for point in points]))
    return Found(
        len(trials),
        len(company),
        ratios(pair for group in alike.values() for pair in pairs(group)),
        len(front),
        sum(int(numbers[place]) in company for place in front),
        sum(bool((dominates(losses, losses[place]) & (numbers != numbers[place])).any()) for place in front),
    )


def median_of(group: Sequence[Record]) -> list[float]:
    """The median training seconds of each epoch over trials of equal work."""
    longest = max(len(trial.curve) for trial in group)
    each = ([t.curve[epoch].train_seconds for t in group if len(t.curve) > epoch] for epoch in range(longest))
    return [float(np.median(seconds)) for seconds in each]


def pairs(group: Sequence[Record]) -> Iterator[tuple[float, float]]:
    """The seconds of every two of these trials, of as many epochs as both have."""
    for one, other in combinations(group, 2):
        epochs = min(len(one.curve), len(other.curve))
        yield one.spent("train_seconds")[epochs - 1], other.spent("train_seconds")[epochs - 1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("storage", nargs="+", help="the URL of a storage; all of its searches are read")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print("| study | points | trials | of equal work | apart: median, 90 %, most | front | of equal work | noise |")
    print("|---" * 8 + "|")
    for url in parser.parse_args().storage:
        for name in optuna.get_all_study_names(url):
            study = optuna.load_study(study_name=name, storage=url)
            trained = [r for r in records(study) if r.state in ("complete", "pruned") and r.curve and r.config]
            objectives = objective_names(study)
            if ":" in name or "train_seconds" not in objectives:
                continue  # of `confirm`, or without a time
            for every_epoch in sorted({False, read_every_epoch(study)}):
                print(row(name, noise_in(trained, objectives, every_epoch=every_epoch), every_epoch=every_epoch))


def row(name: str, found: Found, *, every_epoch: bool) -> str:
    apart = ", ".join(f"{np.quantile(found.apart, q):.3f}" for q in (0.5, 0.9, 1)) if found.apart else "–"
    cells = [name, "every epoch" if every_epoch else "whole trials", found.trials, found.in_company, apart]
    return f"| {' | '.join(map(str, [*cells, found.front, found.front_in_company, found.noise]))} |"


if __name__ == "__main__":
    main()
