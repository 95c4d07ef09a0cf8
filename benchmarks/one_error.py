"""What each rule for choosing among confirmed trials gives up in quality.

    python -m benchmarks.one_error

Studies are drawn as in `benchmarks/confirm_levels.py`. Of six trials with three seeds each, the first is truly the best
and the dearest, and each of the others is cheaper than the one before it and truly worse by a known number of points.
Every rule takes the cheapest trial of a set: all that may be the best; of these, all that are not told apart from the
best mean; all within one standard error of it; or the best mean alone. *Given up* is how much macro F1 the chosen trial
has less than the first one, in truth and not by its scores.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Iterator
from itertools import product

import numpy as np
from benchmarks.confirm_levels import DESIGNS, TRUTH, World, level_of

from peftsearch.confirm.statistics import Comparison
from peftsearch.core.points import Point

BEHIND = {
    "0, 0.5, 1, 2, 4, 8 points": (0.0, 0.005, 0.01, 0.02, 0.04, 0.08),
    "0, 4, 4, 6, 6, 8 points": (0.0, 0.04, 0.04, 0.06, 0.06, 0.08),
    "all equal": (0.0,) * 6,
}
SEEDS = 3
HEADINGS = (
    "test rows",
    "truly behind, the cheapest last",
    "rule",
    "given up, mean",
    "more than 2 points given up",
    "cheaper than the best mean",
)


def _able(found: Comparison) -> list[Point]:
    return [trial for trial, may in found.best_set.items() if may]


def _best(found: Comparison) -> Point:
    return max(found.trials, key=lambda trial: found.trials[trial].mean)


def _together(found: Comparison) -> list[Point]:
    return [trial for trial in _able(found) if not found.difference(trial, _best(found)).told_apart]


RULES: dict[str, Callable[[Comparison], Collection[Point]]] = {
    "may be the best": _able,
    "not told apart from the best mean": _together,
    "within one standard error": lambda found: found.near_best,
    "the best mean": lambda found: [_best(found)],
}


def chosen(rng: np.random.Generator, rows: int, behind: tuple[float, ...]) -> dict[str, int]:
    """Rule → the place of the trial that it takes in one study; 0 is the best trial, and 5 is the cheapest."""
    world, design = World(rng, rows), DESIGNS["1 point"]
    runs = [world.runs(design, level_of(design, TRUTH - points), SEEDS) for points in behind]
    found = Comparison({Point(place): world.scores(each) for place, each in enumerate(runs)})
    return {name: max(point.trial for point in rule(found)) for name, rule in RULES.items()}


def table(rows: list[int], repetitions: int) -> Iterator[str]:
    """The comparison in Markdown."""
    yield f"| {' | '.join(HEADINGS)} |\n{'|---' * len(HEADINGS)}|"
    for count, (name, behind) in product(rows, BEHIND.items()):
        studies = [chosen(np.random.default_rng(seed), count, behind) for seed in range(repetitions)]
        for rule in RULES:
            lost = 100 * np.array([behind[study[rule]] for study in studies])
            cheaper = np.mean([study[rule] > study["the best mean"] for study in studies])
            shares = f"{np.mean(lost > 2):.0%} | {cheaper:.0%}"
            yield f"| {count:,} | {name} | {rule} | {lost.mean():.1f} points | {shares} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=1000)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 1000], help="rows of the test split")
    asked = parser.parse_args()
    for line in table(asked.rows, asked.repetitions):
        print(line, flush=True)


if __name__ == "__main__":
    main()
