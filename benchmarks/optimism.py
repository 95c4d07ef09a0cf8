"""How much too good the best of several trials looks on the rows by which it was chosen.

    python -m benchmarks.optimism

Nothing is trained. Trials are drawn from the model of `benchmarks/confirm_levels.py`, in which the truth is known: six
classes, an expected macro F1 of about 0.80, and seeds that move a run by 1 point. All trials of a study are measured on
the same validation rows, and the best one is taken. What is printed is its score there less its expected macro F1 on
endless new rows, in points, as a mean over studies. Either all trials are equally good, or their expected macro F1
varies with a standard deviation of 2 points.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.confirm_levels import CLASSES, DESIGNS, TRUTH, Ints, World, level_of

HERE = Path(__file__).parent
ROWS, TRIALS, SPREADS = (100, 250, 500, 1000, 2000), (1, 8, 40), (0.0, 0.02)
DESIGN = DESIGNS["1 point"]


def overstatements(rng: np.random.Generator, rows: int, spread: float) -> list[float]:
    """One study: for each number of `TRIALS`, by how much the best of so many trials is overstated."""
    world = World(rng, rows)
    truths = np.clip(TRUTH + spread * rng.standard_normal(max(TRIALS)), 0.5, 0.95).round(3)
    runs = [world.runs(DESIGN, level_of(DESIGN, float(truth)), 1)[0] for truth in truths]
    scores = np.array([macro_f1(world.labels, run) for run in runs])
    best = [int(scores[:count].argmax()) for count in TRIALS]
    return [float(scores[place] - truths[place]) for place in best]


def macro_f1(labels: Ints, predicted: Ints) -> float:
    """As scikit-learn computes it, which takes ten times as long."""
    counts = np.bincount(CLASSES * labels + predicted, minlength=CLASSES**2).reshape(CLASSES, CLASSES)
    return float((2 * np.diag(counts) / np.maximum(counts.sum(axis=0) + counts.sum(axis=1), 1)).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "optimism.json")
    asked = parser.parse_args()
    found: list[dict[str, Any]] = []
    print("| validation rows | trials differ by | " + " | ".join(f"best of {count}" for count in TRIALS) + " |")
    print("|---|---|" + "---|" * len(TRIALS))
    for rows, spread in product(ROWS, SPREADS):
        seen = np.array([overstatements(np.random.default_rng(n), rows, spread) for n in range(asked.repetitions)])
        means, errors = 100 * seen.mean(axis=0), 100 * seen.std(axis=0, ddof=1) / np.sqrt(len(seen))
        found.append(
            {"rows": rows, "spread": spread, "points": dict(zip(map(str, TRIALS), means.tolist(), strict=True))}
        )
        cells = [f"{mean:+.1f} ± {error:.1f}" for mean, error in zip(means, errors, strict=True)]
        print(
            "| " + " | ".join([f"{rows:,}", f"{100 * spread:.0f} points" if spread else "nothing", *cells]) + " |",
            flush=True,
        )
    asked.out.write_text(json.dumps({"repetitions": asked.repetitions, "found": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
