"""Compare single trials: peftsearch, a plain Trainer script, the same in bf16, and one that pads to `max_length`.

    python -m benchmarks.per_trial --data ../shared/data/trec-qc-6.jsonl.gz

The ways use the same rows, model, head, seed, learning rate, batch size and number of steps. They take turns (A B C D A
B C D), each in a process of its own. The plain script trains as a Trainer does by default: in fp32 and in random
batches, each padded to its longest text; `plain-bf16` sets `bf16=True`, which pays where the hardware has it. Runs that
the results file holds are not repeated: delete the file to start again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import plain

HERE = Path(__file__).parent
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}
WAYS = ("peftsearch", "plain", "plain-bf16", "padded")
METHODS: dict[str, tuple[int, dict[str, Any], tuple[float, float]]] = {
    "probe": (10, {"learning_rate": 1e-2, "head": "linear", "pooling": "mean"}, (0.06, 0.25)),
    "frozen": (5, {"learning_rate": 2e-4, "frozen_layers": 4}, (0.40, 0.25)),
    "lora": (3, {"learning_rate": 2e-3, "rank": 8, "alpha_ratio": 2, "targets": "query_value"}, (0.60, 0.25)),
    "seq_bn": (3, {"learning_rate": 2e-3, "reduction_factor": 16}, (0.60, 0.25)),
    "prefix": (3, {"learning_rate": 1e-2, "virtual_tokens": 10, "projection": False}, (0.60, 0.25)),
    "full": (3, {"learning_rate": 2e-4}, (0.65, 0.25)),
}
"""For each method: the epochs, the settings, and the largest share of the plain and of the padded script's seconds of
training that peftsearch may take."""

HEADER = (
    "| method | epochs | peftsearch s | plain s | share (at most) | plain bf16 s | share | padded s | share (at most) "
    "| processor s of the process: all ways | peak MiB: all ways | macro F1: peftsearch, plain, plain bf16 |"
)


def main() -> None:
    options = _options()
    if options.one:
        print(json.dumps(run_one(*options.one.split(":"), options)))
        return
    results = json.loads(options.results.read_text()) if options.results.exists() else []
    for seed in range(options.seeds):
        for method in options.methods.split(","):
            for way in options.ways.split(","):
                if way == "padded" and seed >= options.padded_seeds:
                    continue
                if not any((r["way"], r["method"], r["seed"]) == (way, method, seed) for r in results):
                    results.append(measure(way, method, seed, options))
                    options.results.parent.mkdir(parents=True, exist_ok=True)
                    options.results.write_text(json.dumps(results, indent=1))
    print(table(results))


def measure(way: str, method: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run one way in a process of its own; return its wall and processor seconds, its memory and its own figures."""
    command = [sys.executable, "-m", "benchmarks.per_trial", *sys.argv[1:], "--one", f"{way}:{method}:{seed}"]
    # Threads that spin while they wait would take the cores from each other: two busy cores looked five times slower.
    quiet = {"OMP_NUM_THREADS": str(options.threads), "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, **quiet}
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{way} {method} failed; run it by itself: {' '.join(command)}")
    own = json.loads(output.splitlines()[-1])
    outside = {
        "process_seconds": time.perf_counter() - started,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_memory_mb": usage.ru_maxrss / 1024,
    }
    found = {
        "way": way,
        "method": method,
        "seed": seed,
        **outside,
        **own,
        "rows": options.train,
        "clock": options.clock,
    }
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in found.items()}, file=sys.stderr, flush=True)
    return found


def run_one(way: str, method: str, seed: str, options: argparse.Namespace) -> dict[str, Any]:
    """Train once in this process; return the seconds of training, the last epoch's macro F1 and the epochs run."""
    from peftsearch.core.config import TrainingConfig, TrialConfig
    from peftsearch.data.load import load_data
    from peftsearch.data.section import DataSection
    from peftsearch.methods.table import METHODS as TABLE
    from peftsearch.study.starting_points.baselines import default_settings

    limit = {"train": options.train, "validation": options.validation}
    section = DataSection(
        source=str(options.data.resolve()), text=options.text, label=options.label, limit=limit, max_length=128
    )
    # The data are prepared once, since training is compared; every process makes its tokens and states anew.
    data = load_data(section, HERE, HERE.parent / "runs" / "benchmarks" / "data")
    epochs, settings, _ = METHODS[method]
    own = TABLE[method].hyperparameters
    config = TrialConfig(
        backbone=options.backbone,
        method=method,
        settings={**default_settings(TABLE[method], {name: h.default for name, h in own.items()}), **settings},
        training=TrainingConfig(epochs=epochs, batch_size=32, seed=int(seed)),
        max_length=128,
    )
    run = run_peftsearch if way == "peftsearch" else run_plain
    # On a GPU the second trial counts: the first one of a process also waits until the kernels are loaded.
    for _ in range(1 if options.device == "cpu" else 2):
        with tempfile.TemporaryDirectory() as folder:
            found = run(config, data, Path(folder), way, _clock(options), options.device)
    return {**found, **_device(options.device)}


def _clock(options: argparse.Namespace) -> Callable[[], float]:
    """A clock in seconds that waits until the GPU has finished its work."""
    if options.device == "cpu":
        return CLOCKS[options.clock]
    import torch

    return lambda: (torch.cuda.synchronize(), CLOCKS[options.clock]())[1]


def _device(name: str) -> dict[str, Any]:
    """On a GPU, the device's name and its peak memory, which replaces that of the process."""
    if name == "cpu":
        return {}
    import torch

    from peftsearch.training.meter import MIB, device_name

    return {"device": device_name(torch.device(name)), "peak_memory_mb": torch.cuda.max_memory_allocated() / MIB}


def run_peftsearch(
    config: Any, data: Any, folder: Path, way: str, now: Callable[[], float], device: str
) -> dict[str, Any]:
    """Train as a worker does: with batches of similar length, the fastest precision and a frozen-prefix cache."""
    from peftsearch.training.loop import callbacks
    from peftsearch.training.meter import Seconds
    from peftsearch.training.prefix_cache import states as features
    from peftsearch.training.trial import run_trial

    callbacks.clock = features.clock = lambda device: Seconds(now())
    reports: list[Any] = []
    measured = run_trial(config, data, reports.append, cache=folder, device=device).measurement
    return {
        "train_seconds": measured.train_seconds,
        "prefix_seconds": measured.prefix_seconds,
        "macro_f1": reports[-1].metrics["macro_f1"],
        "epochs": measured.epochs,
        "precision": measured.precision,
        "device": measured.device,
    }


def run_plain(config: Any, data: Any, folder: Path, way: str, now: Callable[[], float], device: str) -> dict[str, Any]:
    """Train with a plain Trainer; the way `padded` trains one epoch only, since only its time counts."""
    padded, bf16 = way == "padded", way == "plain-bf16"
    epochs = 1 if padded else None
    found = plain.train(config, data, folder, now, padded=padded, bf16=bf16, device=device, epochs=epochs)
    return {**found, "macro_f1": found["macro_f1"][-1]}


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table of medians over the seeds; a padded run's one epoch is scaled to all epochs."""
    lines = [HEADER, "|" + "---|" * HEADER.count(" |")]
    for method, (epochs, _, (of_plain, of_padded)) in METHODS.items():
        runs = {way: [r for r in results if (r["way"], r["method"]) == (way, method)] for way in WAYS}
        ours = runs["peftsearch"]
        if not ours or not runs["plain"]:
            continue
        padded = [r | {"train_seconds": r["train_seconds"] * epochs / r["epochs"]} for r in runs["padded"]]
        cells = (
            method,
            epochs,
            _spread(ours, "train_seconds"),
            _spread(runs["plain"], "train_seconds"),
            f"{_share(ours, runs['plain'])} ({of_plain:.2f})",
            _spread(runs["plain-bf16"], "train_seconds"),
            _share(ours, runs["plain-bf16"]),
            _spread(padded, "train_seconds"),
            f"{_share(ours, padded)} ({of_padded:.2f})",
            ", ".join(_median(runs[way], "processor_seconds", 1) for way in WAYS),
            ", ".join(_median(runs[way], "peak_memory_mb", 0) for way in WAYS),
            ", ".join(_spread(runs[way], "macro_f1", 3) for way in WAYS[:3]),
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _share(ours: list[dict[str, Any]], others: list[dict[str, Any]]) -> str:
    """The median share of runs with the same seed, one after the other, so that a busy minute counts on both sides."""
    pairs = [(a, b) for a in ours for b in others if a["seed"] == b["seed"]]
    return f"{statistics.median(a['train_seconds'] / b['train_seconds'] for a, b in pairs):.2f}" if pairs else "–"


def _median(runs: list[dict[str, Any]], name: str, digits: int) -> str:
    return f"{statistics.median(run[name] for run in runs):.{digits}f}" if runs else "–"


def _spread(runs: list[dict[str, Any]], name: str, digits: int = 1) -> str:
    values = [run[name] for run in runs]
    if not values:
        return "–"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a file of labelled texts")
    parser.add_argument("--text", default="text", help="its column of texts")
    parser.add_argument("--label", default="label", help="its column of classes")
    parser.add_argument("--backbone", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--methods", default=",".join(METHODS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--train", type=int, default=1000, help="training rows")
    parser.add_argument("--validation", type=int, default=500, help="validation rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--padded-seeds", type=int, default=1, help="seeds with which the padded script runs too")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="the clock for training; take processor, with one thread, where other programs share the machine",
    )
    parser.add_argument("--results", type=Path, default=HERE / "results" / "per_trial.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
