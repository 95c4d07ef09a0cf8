"""How often confirming calls equal trials different, and how often it sees a difference that is there.

    python -m benchmarks.confirm_levels --repetitions 2000

Nothing is trained: runs are drawn from a model in which the truth is known. A run labels a row right where

    (level of the class) + (row) + (row and trial) + (row, trial and seed) + (seed) + (seed and class) > 0

and each part is normal. The rows are the same for all trials and seeds, some are hard for all of them, and what a row
is mistaken for is mostly the same for all. Six classes have between 30 % and 6 % of the rows, the rare ones are
harder, and the metric is macro F1. Expected macro F1 is 0.80, and equal trials have equal levels. In the study with a
planted gap, one trial is raised by 2 points.

`Design` says how much seeds differ. The rule of earlier versions, Student's paired t over seeds, is judged beside.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import norm, t

from peftsearch.confirm.jackknife import pseudo_values
from peftsearch.confirm.statistics import Comparison, Scores
from peftsearch.confirm.variance import SeedVariance

HERE = Path(__file__).parent
CLASSES = 6
SHARES = np.array([0.30, 0.25, 0.18, 0.12, 0.09, 0.06])
"""Of the rows, by class."""
HARDER = np.array([0.4, 0.3, 0.0, -0.1, -0.4, -0.6])
"""Added to a trial's level, by class."""
MISTAKEN = np.array(
    [
        [0.0, 0.5, 0.2, 0.1, 0.1, 0.1],
        [0.6, 0.0, 0.2, 0.1, 0.05, 0.05],
        [0.3, 0.3, 0.0, 0.3, 0.05, 0.05],
        [0.2, 0.2, 0.4, 0.0, 0.1, 0.1],
        [0.3, 0.1, 0.1, 0.1, 0.0, 0.4],
        [0.3, 0.1, 0.1, 0.1, 0.4, 0.0],
    ]
)
"""What a row of each class is taken for if it is labelled wrong."""
OWN_MISTAKE = 0.1
"""In how many wrong runs a row is not taken for what it is usually taken for."""

TRUTH, GAP, TRIALS, VALIDATION_ROWS = 0.80, 0.02, 6, 500
EARLIER, POOLED = ", earlier", ", pooled"
RULES = {"": "rows and seeds", POOLED: "one variance for all", EARLIER: "paired t over seeds"}
"""Ending of a figure's name → the rule."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Design:
    """How much runs differ.

    Attributes:
        row_and_trial: share of the variance of a row that each trial has of its own.
        row_and_seed: the share that each run has of its own.
        seed: standard deviation of a run's level, by trial or of all trials.
        seed_and_class: standard deviation of a run's level for each class.
    """

    row_and_trial: float
    row_and_seed: float
    seed: float
    seed_and_class: float

    def expected(self, level: float) -> float:
        """Macro F1 of the expected confusion matrix."""
        right = norm.cdf((level + HARDER) / math.sqrt(1 + self.seed**2 + self.seed_and_class**2))
        matrix = SHARES[:, None] * (np.diag(right) + (1 - right)[:, None] * MISTAKEN)
        return float((2 * np.diag(matrix) / (matrix.sum(axis=0) + matrix.sum(axis=1))).mean())


@cache
def level_of(design: Design, truth: float) -> float:
    """The level at which a trial's expected macro F1 is `truth`."""
    return float(brentq(lambda level: design.expected(level) - truth, -3, 5))


DESIGNS = {
    "0.5 points": Design(0.05, 0.04, 0.015, 0.03),
    "1 point": Design(0.05, 0.05, 0.03, 0.055),
}
"""By the standard deviation of macro F1 between seeds. Two seeds label 7 and 8 % of the rows differently, and two
trials 10 %, as fine-tuned encoders with 84 % of the rows right do."""
STEADY, UNSTEADY = Design(0.05, 0.02, 0.005, 0.01), Design(0.05, 0.05, 0.045, 0.08)
"""Trials of one study need not vary alike with the seed: here by 0.2 and by 1.5 points."""
WITHOUT_CHANCE = {
    "about 75 of 1,000 rows": Design(0.05, 0.0, 0.0, 0.0),
    "about 25 of 1,000 rows": Design(0.0005, 0.0, 0.0, 0.0),
}
"""By how many rows two such trials label differently."""


class World:
    """The rows of one test split, and runs on them."""

    def __init__(self, rng: np.random.Generator, rows: int) -> None:
        self._rng = rng
        self.labels: Ints = rng.choice(CLASSES, size=rows, p=SHARES)
        self._hard = rng.standard_normal(rows)
        self._usual = self._mistakes()

    def runs(self, design: Design, level: float, seeds: int) -> Ints:
        """Predicted classes of a new trial, shape (seeds, rows)."""
        rng, rows = self._rng, len(self.labels)
        shared = math.sqrt(1 - design.row_and_trial - design.row_and_seed) * self._hard
        shared = shared + math.sqrt(design.row_and_trial) * rng.standard_normal(rows)
        noise = math.sqrt(design.row_and_seed) * rng.standard_normal((seeds, rows))
        seed = design.seed * rng.standard_normal((seeds, 1))
        by_class = design.seed_and_class * rng.standard_normal((seeds, CLASSES))
        right = level + (HARDER + by_class)[:, self.labels] + shared + noise + seed > 0
        own = np.stack([np.where(rng.random(rows) < OWN_MISTAKE, self._mistakes(), self._usual) for _ in range(seeds)])
        return np.where(right, self.labels, own)

    def _mistakes(self) -> Ints:
        steps = np.cumsum(MISTAKEN, axis=1)[self.labels]
        return (self._rng.random((len(self.labels), 1)) > steps[:, :-1]).sum(axis=1)

    def scores(self, runs: Ints, random: bool = True) -> Scores:
        values = [pseudo_values("macro_f1", predicted, self.labels, CLASSES) for predicted in runs]
        return Scores(np.array(values), random)


def paired_t(one: Scores, other: Scores) -> bool:
    """Whether the rule of earlier versions told two trials apart: Student's paired t over the seeds."""
    gaps = one.values.mean(axis=1) - other.values.mean(axis=1)
    if not (one.random and other.random):
        return bool(gaps[0] != 0)
    margin = float(t.ppf(0.975, len(gaps) - 1)) * gaps.std(ddof=1) / math.sqrt(len(gaps))
    return bool(abs(gaps.mean()) > margin)


Figures = dict[str, float]


class Pooled(Comparison):
    """The same rule if all trials were taken to vary alike with the seed."""

    @cached_property
    def seed_variance(self) -> SeedVariance | None:
        found = super().seed_variance
        return replace(found, own=0.0) if found else None


def study(rng: np.random.Generator, rows: int, designs: Sequence[Design], seeds: int, gap: float) -> Figures:
    """What is said about a study of one trial a design, of which the first is better by `gap`."""
    world = World(rng, rows)
    levels = [level_of(design, TRUTH + gap * (place == 0)) for place, design in enumerate(designs)]
    trials = {n: world.scores(world.runs(*plan, seeds)) for n, plan in enumerate(zip(designs, levels, strict=True))}
    found, alone = Comparison(trials), Comparison({n: trials[n] for n in (0, 1)})
    best = max(trials, key=lambda n: trials[n].mean)
    left_out = {"": [n for n, may in found.best_set.items() if not may]}
    left_out[EARLIER] = [n for n in trials if n != best and paired_t(trials[n], trials[best])]
    own = found.interval(0)
    assert own.low is not None
    assert own.high is not None
    figures = {
        "gap": trials[0].mean - trials[1].mean,
        "told apart": bool(found.difference(0, 1).told_apart),
        "told apart, two trials alone": bool(alone.difference(0, 1).told_apart),
        "told apart" + POOLED: bool(Pooled(trials).difference(0, 1).told_apart),
        "told apart" + EARLIER: paired_t(trials[0], trials[1]),
        "truth in the interval": own.low <= TRUTH + gap <= own.high,
        "chance called overstatement": bool(found.overstatement(0, search(rng, designs[0], levels[0])).told_apart),
    }
    for rule, out in left_out.items():
        figures |= {"first left out" + rule: 0 in out, "some left out" + rule: bool(out)}
        figures |= {"others left out" + rule: len(set(out) - {0})}
    return figures


def search(rng: np.random.Generator, design: Design, level: float) -> NDArray[np.float64]:
    """The pseudo-values of a run of the same trial on a validation split of its own, by which nothing was chosen."""
    validation = World(rng, VALIDATION_ROWS)
    return validation.scores(validation.runs(design, level, 1)).values[0]


def without_chance(rng: np.random.Generator, rows: int, design: Design) -> Figures:
    """What is said about two equal trials that no seed changes."""
    world, level = World(rng, rows), level_of(design, TRUTH)
    runs = [world.runs(design, level, 1) for _ in range(2)]
    one, other = (world.scores(run, random=False) for run in runs)
    return {
        "rows": float((runs[0] != runs[1]).sum()),
        "told apart": bool(Comparison({0: one, 1: other}).difference(0, 1).told_apart),
        "told apart" + EARLIER: paired_t(one, other),
    }


def simulated(once: Callable[[np.random.Generator], Figures], repetitions: int) -> Figures:
    """The mean of each figure over repetitions, and the standard deviation of the gap."""
    found = [once(np.random.default_rng(repetition)) for repetition in range(repetitions)]
    means = {name: float(np.mean([one[name] for one in found])) for name in found[0]}
    return means | {"sd of the gap": float(np.std([one.get("gap", 0.0) for one in found], ddof=1))}


def everything(repetitions: int, rows: int, seeds: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Every row of the tables, as soon as it is known."""
    plans = [(name, [design] * TRIALS, count) for (name, design), count in product(DESIGNS.items(), seeds)]
    plans.append(("1.5 points, of the other four 0.2", [UNSTEADY] * 2 + [STEADY] * (TRIALS - 2), seeds[0]))
    plans.append(("0.2 points, of the other four 1.5", [STEADY] * 2 + [UNSTEADY] * (TRIALS - 2), seeds[0]))
    for name, designs, count in plans:
        null, gap = (
            simulated(lambda rng, by=by, k=count, d=designs: study(rng, rows, d, k, by), repetitions)  # type: ignore[misc]
            for by in (0.0, GAP)
        )
        known = float(norm.sf(norm.ppf(0.975) - GAP / null["sd of the gap"]))
        yield {"sd between seeds": name, "seeds": count, "equal": null, "gap": gap, "power if V were known": known}
    for name, design in WITHOUT_CHANCE.items():
        yield {"differ in": name, "equal": simulated(lambda rng, d=design: without_chance(rng, rows, d), repetitions)}  # type: ignore[misc]


COLUMNS: dict[str, tuple[str, str]] = {
    "two equal trials told apart": ("equal", "told apart"),
    "2 points told apart": ("gap", "told apart"),
    "one of six equal trials left out": ("equal", "first left out"),
    "some of six equal trials left out": ("equal", "some left out"),
}
"""Heading → where it stands."""


def table(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The rows with seeds as Markdown, one line a rule."""
    headings = ["sd between seeds", "seeds", "rule", *COLUMNS]
    yield "| " + " | ".join(headings) + " |"
    yield "|---" * len(headings) + "|"
    for row, (rule, name) in product([row for row in rows if "seeds" in row], RULES.items()):
        found = [row[at].get(figure + rule) for at, figure in COLUMNS.values()]
        cells = ["" if share is None else f"{100 * share:.1f} %" for share in found]
        yield "| " + " | ".join([row["sd between seeds"], str(row["seeds"]), name, *cells]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=1000, help="rows of the test split")
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--out", type=Path, default=HERE / "results" / "confirm_levels.json")
    asked = parser.parse_args()
    found = []
    for row in everything(asked.repetitions, asked.rows, asked.seeds):
        print(json.dumps(row), flush=True)
        found.append(row)
    asked.out.write_text(json.dumps({"repetitions": asked.repetitions, "rows": asked.rows, "found": found}, indent=1))
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
