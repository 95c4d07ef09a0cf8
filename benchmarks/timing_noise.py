"""Measure how much the times of the same work differ, from which the tolerance of timed objectives is taken.

    python -m benchmarks.timing_noise                  # about six minutes on a quiet machine with two cores
    python -m benchmarks.timing_noise --threads 2

Each method's default configuration of the quickstart is trained again and again on fewer rows: in turns the methods,
and in turns alone, beside one and beside three other processes, which train as other workers would and are held in
between. The caches are empty each time, so that all of a trial's work is timed, and waiting threads do not spin, as in
a worker. What is shown is the ratio of the longer to the shorter time over all pairs of repeats of one configuration:
within a condition, and between a repeat alone and one beside others; beside what a trial measures also for the wall
clock.

The default of `core.objectives` (`TIMING_NOISE`) should be near the 90 % quantile within a condition.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from peftsearch.workers.local import worker_environment

RESULTS = Path(__file__).parent / "results"
METHODS = ("tfidf", "probe", "lora", "full")
TIMED = ("train_seconds", "evaluation_seconds", "wall_seconds")
OTHERS = (0, 1, 3)
"""How many other processes train at the same time."""

WITHIN = 1.1
"""The ratio of which is told how many pairs are within it: the default tolerance."""

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


Others = Sequence["subprocess.Popen[str]"]


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


def repeated(configs: Sequence[TrialConfig], data: TextData, repeats: int, others: Others) -> dict[int, Times]:
    """Every configuration this many times beside each number of other processes, in turns."""
    found: dict[int, Times] = {count: {c.method: {name: [] for name in TIMED} for c in configs} for count in OTHERS}
    for turn in range(repeats):
        for count in OTHERS:
            with training(others[:count]):
                for config in configs:
                    for name, seconds in once(config, data).items():
                        found[count][config.method][name].append(seconds)
            print(f"  turn {turn + 1} of {repeats}, beside {count}", file=sys.stderr, flush=True)
    return found


@contextmanager
def other_workers(rows: int, count: int) -> Iterator[Others]:
    """So many processes that have trained once and are held."""
    command = [sys.executable, "-m", "benchmarks.timing_noise", "--load", "--rows", str(rows)]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for other in others:
            assert other.stdout
            other.stdout.readline()  # it says so when it has trained once
            other.send_signal(signal.SIGSTOP)
        yield others
    finally:
        for other in others:
            other.kill()
            other.wait()


@contextmanager
def training(others: Others) -> Iterator[None]:
    """Within it these processes go on."""
    for other in others:
        other.send_signal(signal.SIGCONT)
    yield
    for other in others:
        other.send_signal(signal.SIGSTOP)


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


def table(found: Mapping[int, Times]) -> str:
    """Quantiles of the ratios as Markdown, and the share of them within the tolerance."""
    quantiles = (f"{100 * q:g} %" if q < 1 else "largest" for q in QUANTILES)
    head = ("condition", "time", "method", *quantiles, f"within {WITHIN - 1:.0%}")
    lines = [f"| {' | '.join(head)} |", "|" + " --- |" * len(head)]
    within = [(count, count) for count in OTHERS]
    for name, (one, other) in itertools.product(TIMED, [*within, *((0, count) for count in OTHERS[1:])]):
        by_method = {m: ratios(pairs(found[one][m][name], found[other][m][name], one == other)) for m in METHODS}
        by_method["all"] = list(itertools.chain(*by_method.values()))
        for method, each in by_method.items():
            cells = [f"{np.quantile(each, q):.3f}" for q in QUANTILES]
            cells.append(f"{np.mean(np.asarray(each) <= WITHIN):.0%}")
            lines.append(f"| {' | '.join((_condition(one, other), name, method, *cells))} |")
    return "\n".join(lines)


def pairs(one: Sequence[float], other: Sequence[float], same: bool) -> Iterator[tuple[float, float]]:
    """Every two repeats: of one condition, or one of each."""
    return itertools.combinations(one, 2) if same else itertools.product(one, other)


def _condition(one: int, other: int) -> str:
    words = ["alone" if count == 0 else f"beside {count}" for count in (one, other)]
    return words[0] if one == other else f"one {words[0]}, one {words[1]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--rows", type=int, default=200, help="most rows for training, and for validation")
    parser.add_argument("--threads", type=int, default=1, help="threads of each process")
    parser.add_argument("--results", type=Path, help="default: results/timing_noise-THREADS.json")
    parser.add_argument("--load", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "OMP_WAIT_POLICY" not in os.environ:  # torch has read it by now
        command = [sys.executable, "-m", "benchmarks.timing_noise", *sys.argv[1:]]
        os.execve(sys.executable, command, worker_environment(options.threads, 0))
    if options.load:
        load(options.rows)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        configs, data = work(Path(folder), options.rows)
        for config in configs:  # loads libraries and weights
            once(config, data)
        with other_workers(options.rows, max(OTHERS)) as others:
            found = repeated(configs, data, options.repeats, others)
    about = {"cores": os.cpu_count(), "threads": options.threads, "load": os.getloadavg()[2], "beside": found}
    (options.results or RESULTS / f"timing_noise-{options.threads}.json").write_text(json.dumps(about, indent=1))
    print(table(found))
    print(f"\nin {time.monotonic() - started:.0f} s; the load over the last 15 minutes was {os.getloadavg()[2]:.1f}")


if __name__ == "__main__":
    main()
