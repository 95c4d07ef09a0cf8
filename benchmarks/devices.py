"""Measure how well seconds of another kind of device are put on the scale of a study's reference.

    python -m benchmarks.devices                       # some minutes on a quiet machine with two cores
    python -m benchmarks.devices --kinds 1:fp32 2:fp32 1:bf16

A kind is a number of CPU threads and a number format, as a device without bf16 has fp32. Each kind has a process of its
own, and the kinds take turns. In each turn the device is timed as a worker does before its first trial
(`training/calibration`), and then each method's default configuration is trained. The first kind is the reference. What
is shown is by how much the scaled seconds of the other kinds are off, with the medians over the turns.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import retiming

from peftsearch.methods.table import METHODS
from peftsearch.training.calibration import time_encoder
from peftsearch.training.trial import run_trial

RESULTS = Path(__file__).parent / "results"
Turn = Mapping[str, Any]
"""What one process measured: the seconds of a `step` and of a `pass`, what timing `took`, and those of each method."""


def measured(kind: str, args: argparse.Namespace) -> Turn:
    """One turn of a kind, in this process; the one that waits for it loads no torch."""
    import torch

    threads, precision = kind.split(":")
    torch.set_num_threads(int(threads))
    with tempfile.TemporaryDirectory() as folder:
        configs, data = retiming.work(Path(folder), args)
        configs = [replace(each, training=replace(each.training, precision=precision)) for each in configs]
        timed = max(configs, key=lambda each: METHODS[each.method].passes(each.settings, args.epochs))
        started = time.perf_counter()
        step, forward, _ = time_encoder(timed, data, cache=Path(folder), device="cpu")
        took, methods = time.perf_counter() - started, {}
        for config in configs:
            with tempfile.TemporaryDirectory() as cache:
                found = run_trial(config, data, lambda _: None, cache=Path(cache), device="cpu").measurement
            methods[config.method] = found.train_seconds
    return {"step": step, "pass": forward, "took": took, "methods": methods}


def errors(reference: Sequence[Turn], other: Sequence[Turn], epochs: int) -> dict[str, float]:
    """Method → the scaled seconds of `other` over those of `reference`, less 1.

    >>> one = [{"step": 1.0, "pass": 0.5, "methods": {"full": 4.0, "probe": 1.0}}]
    >>> two = [{"step": 2.0, "pass": 0.5, "methods": {"full": 8.8, "probe": 1.0}}]
    >>> {method: round(error, 6) for method, error in errors(one, two, 2).items()}
    {'full': 0.1, 'probe': 0.0}
    """

    def of(turns: Sequence[Turn], piece: str) -> float:
        return median(turn[piece] for turn in turns)

    found = {}
    for method in reference[0]["methods"]:
        light = METHODS[method].passes({}, epochs) <= 1
        piece = "pass" if light else "step"
        own, theirs = (median(turn["methods"][method] for turn in turns) for turns in (other, reference))
        found[method] = own * of(reference, piece) / of(other, piece) / theirs - 1
    return found


def main() -> None:
    """Measure, print and keep the comparison."""
    args = _options()
    if args.one:
        print(json.dumps(measured(args.one, args)))
        return
    load, turns = os.getloadavg()[0], {kind: list[Turn]() for kind in args.kinds}
    for _ in range(args.rounds):
        for kind in args.kinds:
            command = [sys.executable, "-m", "benchmarks.devices", *sys.argv[1:], "--one", kind]
            quiet = {"OMP_NUM_THREADS": kind.split(":")[0], "OMP_WAIT_POLICY": "PASSIVE"}
            done = subprocess.run(command, env={**os.environ, **quiet}, check=True, capture_output=True, text=True)
            turns[kind].append(json.loads(done.stdout.splitlines()[-1]))
            print(f"{kind}: {done.stdout.splitlines()[-1]}", file=sys.stderr, flush=True)
    first, *others = args.kinds
    print(f"{first}: timing took {median(turn['took'] for turn in turns[first]):.1f} s by the wall clock")
    for kind in others:
        own, reference = turns[kind], turns[first]
        step, forward = (median(t[p] for t in reference) / median(t[p] for t in own) for p in ("step", "pass"))
        off = errors(reference, own, args.epochs)
        sizes = sorted(map(abs, off.values()))
        print(f"{kind}: times {step:.2f}, {forward:.2f} where no part of an encoder is trained; off by")
        print(f"  {', '.join(f'{method} {error:+.0%}' for method, error in off.items())}")
        print(f"  {median(sizes):.0%} in the median and {sizes[-1]:.0%} at worst; load {load:.1f}", flush=True)
    kept = {"rows": args.rows, "epochs": args.epochs, "load": load, "turns": turns}
    args.results.write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", default=["1:bf16", "2:bf16", "1:fp32"], help="THREADS:FORMAT")
    parser.add_argument("--methods", nargs="+", default=["probe", "frozen", "lora", "full"])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--data", default="package:peftsearch/resources/wordnet-nouns", help="where the texts are from")
    parser.add_argument("--results", type=Path, default=RESULTS / "devices.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
