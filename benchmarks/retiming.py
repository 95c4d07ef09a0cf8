"""Measure how far the training time that a few steps tell is from the one that the whole trial has measured.

    python -m benchmarks.retiming                      # about five minutes on a quiet machine with two cores
    python -m benchmarks.retiming --data trec-qc-6.jsonl.gz --rows 500

Each method's default configuration is trained on texts of many lengths with MiniLM, and then timed again as
`optimize` does at the end of a search on a GPU (`training/retiming`), in turns. On a CPU both are processor seconds of
the thread that trains, so that the two can be compared on a machine with other work. What is shown is the time that
was measured again over the time of the whole trial.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from peftsearch.core.config import TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data.base import TextData
from peftsearch.optimize.begin import check_data
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study
from peftsearch.study.suggest import baseline_config
from peftsearch.training.retiming.again import epoch_seconds
from peftsearch.training.trial import run_trial

RESULTS = Path(__file__).parent / "results"
METHODS = ("probe", "frozen", "unfreezing", "bitfit", "ia3", "lora", "adalora", "seq_bn", "prefix", "full")
STUDY = """\
name: retiming
data:
  source: %s
  splits: {validation: 0.15, test: 0.2, seed: 42}
  max_length: 64
backbones: [sentence-transformers/all-MiniLM-L6-v2]
training: {epochs: %s, batch_size: 32}
methods: {%s}
"""


@dataclass(frozen=True)
class Compared:
    """One method.

    Attributes:
        trials: the training seconds of the whole trial, each time that it was trained.
        again: those that a few steps told right after it.
        took: the seconds by the wall clock that measuring once again took, the median.
    """

    method: str
    trials: tuple[float, ...]
    again: tuple[float, ...]
    took: float

    @property
    def ratios(self) -> list[float]:
        """What a few steps told over what the whole trial took."""
        return [few / whole for few, whole in zip(self.again, self.trials, strict=True)]

    @property
    def ratio(self) -> float:
        """That of the medians."""
        return float(np.median(self.again) / np.median(self.trials))


def work(folder: Path, args: argparse.Namespace) -> tuple[list[TrialConfig], TextData]:
    """The configurations to train, and their data."""
    file = folder / "retiming.yaml"
    file.write_text(STUDY % (args.data, args.epochs, ", ".join(f"{method}: {{}}" for method in args.methods)))
    limit = {"train": args.rows, "validation": 50, "test": 50}
    spec = load_study(str(file), Overrides(limit=limit))
    return [baseline_config(spec, baseline) for baseline in spec.baselines], check_data(spec, RunFolder(folder / "run"))


def compared(config: TrialConfig, data: TextData, folder: Path, rounds: int) -> Compared:
    """Train a configuration and time it again, in turns."""
    trials, again, took = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as cache:  # so that the pass through frozen layers is made each time
            measured = run_trial(config, data, lambda _: None, cache=Path(cache)).measurement
        started = time.perf_counter()
        again.append(sum(epoch_seconds(config, data, measured, measured.epochs, cache=folder)))
        took.append(time.perf_counter() - started)
        trials.append(measured.train_seconds)
    return Compared(config.method, tuple(trials), tuple(again), float(np.median(took)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and keep the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--data", default="package:peftsearch/resources/wordnet-nouns", help="where the texts are from")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS / "retiming.json")
    args = parser.parse_args(arguments)

    import torch

    torch.set_num_threads(args.threads)
    load = os.getloadavg()[0]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        configs, data = work(Path(folder), args)
        for config in configs:
            each = compared(config, data, Path(folder), args.rounds)
            found.append(each)
            ratios, seconds = ", ".join(f"{ratio:.2f}" for ratio in each.ratios), np.median(each.trials)
            print(
                f"{each.method:12} {seconds:6.2f} s, again {each.ratio:.3f} ({ratios}), took {each.took:.1f} s",
                flush=True,
            )
    off = sorted(abs(each.ratio - 1) for each in found)
    print(f"off by {np.median(off):.1%} in the median and {off[-1]:.1%} at worst; load {load:.1f}")
    kept = {"rows": args.rows, "load": load, "threads": args.threads, "methods": [asdict(each) for each in found]}
    args.results.write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
