"""Measure how much the times of the same work differ, from which the tolerance of timed objectives is taken.

    python -m benchmarks.timing_noise                  # about four minutes on a quiet machine with two cores

Each method's default configuration of the quickstart is trained again and again on fewer rows, the methods in turns:
first alone, then while another process trains as a second worker would. The caches are empty each time, so that all of
a trial's work is timed. What is shown is the ratio of the longer to the shorter time over all pairs of repeats of one
configuration: within a condition, and between a repeat alone and one beside the other worker.

The default of `core.objectives` (`TIMING_NOISE`) should be near the 90 % quantile within a condition.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from peftsearch.core.config import TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data.base import TextData
from peftsearch.optimize.begin import check_data
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study
from peftsearch.study.suggest import baseline_config
from peftsearch.training.trial import run_trial

RESULTS = Path(__file__).parent / "results" / "timing_noise.json"
METHODS = ("tfidf", "probe", "lora", "full")
TIMED = ("train_seconds", "evaluation_seconds")
QUANTILES = (0.5, 0.75, 0.9, 0.95, 1.0)
STUDY = """\
name: noise
data:
  source: package:peftsearch/resources/wordnet-nouns
  splits: {validation: 0.15, test: 0.2, seed: 42}
  max_length: 64
backbones: [sentence-transformers/all-MiniLM-L6-v2]
training: {epochs: 2, batch_size: 32}
methods: {%s}
"""

Times = dict[str, dict[str, list[float]]]
"""Method → timed objective → the seconds of each repeat."""


def work(folder: Path, rows: int) -> tuple[list[TrialConfig], TextData]:
    """The configurations to train, and their data."""
    file = folder / "noise.yaml"
    file.write_text(STUDY % ", ".join(f"{method}: {{}}" for method in METHODS))
    spec = load_study(str(file), Overrides(limit={"train": rows, "validation": rows}))
    return [baseline_config(spec, baseline) for baseline in spec.baselines], check_data(spec, RunFolder(folder / "run"))


def once(config: TrialConfig, data: TextData) -> dict[str, float]:
    """Train a configuration with empty caches; its times."""
    with tempfile.TemporaryDirectory() as cache:
        measured = run_trial(config, data, lambda _: None, cache=Path(cache)).measurement
    return {name: getattr(measured, name) for name in TIMED}


def repeated(configs: Sequence[TrialConfig], data: TextData, repeats: int) -> Times:
    """Every configuration this many times, in turns."""
    found: Times = {config.method: {name: [] for name in TIMED} for config in configs}
    for turn in range(repeats):
        for config in configs:
            for name, seconds in once(config, data).items():
                found[config.method][name].append(seconds)
        print(f"  {turn + 1} of {repeats} turns", file=sys.stderr, flush=True)
    return found


@contextmanager
def another_worker(rows: int) -> Iterator[None]:
    """Within it another process trains, from before the first step in it."""
    command = [sys.executable, "-m", "benchmarks.timing_noise", "--load", "--rows", str(rows)]
    other = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    other.stdout.readline()  # it says so when it has trained once
    try:
        yield
    finally:
        other.kill()
        other.wait()


def load(rows: int) -> None:
    """Train for ever."""
    with tempfile.TemporaryDirectory() as folder:
        configs, data = work(Path(folder), rows)
        for config in itertools.cycle(configs):
            once(config, data)
            if config is configs[-1]:
                print("trained", flush=True)


def ratios(pairs: Iterable[tuple[float, float]]) -> list[float]:
    """The longer over the shorter time of each pair."""
    return [max(pair) / min(pair) for pair in pairs]


def table(alone: Times, beside: Times) -> str:
    """Quantiles of the ratios as Markdown."""
    head = ("condition", "time", "method", *(f"{100 * q:g} %" if q < 1 else "largest" for q in QUANTILES))
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    for words, pairs in (
        ("alone", lambda m, n: itertools.combinations(alone[m][n], 2)),
        ("beside another worker", lambda m, n: itertools.combinations(beside[m][n], 2)),
        ("one alone, one beside", lambda m, n: itertools.product(alone[m][n], beside[m][n])),
    ):
        for name in TIMED:
            by_method = {method: ratios(pairs(method, name)) for method in METHODS}
            by_method["all"] = list(itertools.chain(*by_method.values()))
            for method, found in by_method.items():
                cells = [f"{np.quantile(found, q):.3f}" for q in QUANTILES]
                lines.append(f"| {' | '.join((words, name, method, *cells))} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--rows", type=int, default=200, help="most rows for training, and for validation")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load:
        load(options.rows)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        configs, data = work(Path(folder), options.rows)
        repeated(configs, data, 1)  # loads libraries and weights
        alone = repeated(configs, data, options.repeats)
        with another_worker(options.rows):
            beside = repeated(configs, data, options.repeats)
    options.results.write_text(
        json.dumps({"cores": os.cpu_count(), "load": os.getloadavg()[2], "alone": alone, "beside": beside}, indent=1)
    )
    print(table(alone, beside))
    print(f"\nin {time.monotonic() - started:.0f} s; the load over the last 15 minutes was {os.getloadavg()[2]:.1f}")


if __name__ == "__main__":
    main()
