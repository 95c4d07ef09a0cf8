"""Run a whole search in four ways: peftsearch, and Optuna around a plain Trainer, in fp32, in bf16 and with pruning.

    python -m benchmarks.search --data ../shared/data/trec-qc-6.jsonl.gz

All have the same space, rows, number of trials and seed, one process with one thread, and a SQLite storage:

* *plain* is Optuna's TPE over the study's three objectives around `benchmarks/plain.py`;
* *plain-bf16* is the same with the Trainer's `bf16=True`;
* *median* searches macro F1 alone with Optuna's MedianPruner, since Optuna does not prune with several objectives;
* *peftsearch* is `peftsearch optimize`, as a user starts it.

The hypervolume is that of 1 - macro F1 and of the trainable parameters on a logarithmic scale. It leaves out time, in
which the ways differ. Seconds are processor time of the command and its child processes, with one thread each, which
other programs hardly change. Runs that the results file holds are not repeated: delete the file to start again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from benchmarks import plain

from peftsearch.core.front.pareto import Array, hypervolume, non_dominated

HERE = Path(__file__).parent
STUDY = HERE / "search.yaml"
PLAIN = ("plain", "plain-bf16")
WAYS = (*PLAIN, "median", "peftsearch")
FEWEST, MOST = 1e3, 1e8
"""The numbers of trainable parameters between which the hypervolume's scale lies."""


def main() -> None:
    options = _options()
    if options.one:
        way, seed, storage = options.one.split(":", 2)
        search_plainly(way, int(seed), storage, options)
        return
    results = json.loads(options.results.read_text()) if options.results.exists() else []
    for seed in options.seeds:
        for way in options.ways.split(","):
            if not any((r["way"], r["seed"]) == (way, seed) for r in results):
                found = measure(way, seed, options)
                # Read again: another process may have measured another way meanwhile.
                results = json.loads(options.results.read_text()) if options.results.exists() else []
                options.results.parent.mkdir(parents=True, exist_ok=True)
                options.results.write_text(json.dumps([*results, found], indent=1))
    print(table(json.loads(options.results.read_text())))


def measure(way: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run one search in a process of its own and an empty folder; return when and how each trial ended."""
    folder = Path(tempfile.mkdtemp(prefix="search-"))
    storage = f"sqlite:///{folder}/trials.db"
    python = [sys.executable, "-m"]
    if way == "peftsearch":
        command = [
            *python,
            "peftsearch",
            "optimize",
            "--study",
            str(STUDY),
            "--data",
            f"train={options.data.resolve()}",
        ]
        command += ["--limit", f"train={options.train},validation={options.validation}", "--storage", storage]
        command += ["--trials", str(options.trials), "--seed", str(seed)]
    else:
        command = [*python, "benchmarks.search", *sys.argv[1:], "--one", f"{way}:{seed}:{storage}"]
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
    with (folder / "log").open("w") as log:
        where = folder if way == "peftsearch" else HERE.parent
        process = psutil.Popen(command, cwd=where, env={**os.environ, **quiet}, stdout=log, stderr=log)
        clock = watch(process)
    if process.returncode:
        raise SystemExit(f"{way} failed; its output is in {folder}/log")
    found = {"way": way, "seed": seed, "rows": options.train, "seconds": clock[-1][1]}
    found |= {"wall_seconds": clock[-1][0] - clock[0][0], "trials": ended(storage, clock)}
    shutil.rmtree(folder)
    print(f"{way}, seed {seed}: {found['seconds']:.0f} s", file=sys.stderr, flush=True)
    return found


def watch(process: psutil.Popen) -> list[tuple[float, float]]:
    """Sample every second, until the process ends, the time and the processor seconds of it and its descendants."""
    found, spent = [(time.time(), 0.0)], {}
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            for one in (process, *process.children(recursive=True)):
                with suppress(psutil.NoSuchProcess):
                    times = one.cpu_times()
                    spent[one.pid] = times.user + times.system
        found.append((time.time(), sum(spent.values())))
        with suppress(psutil.TimeoutExpired):
            process.wait(1)
    return found


def ended(storage: str, clock: list[tuple[float, float]]) -> list[dict[str, Any]]:
    """The trials in the order of their end, with the processor seconds until then; stopped trials have no values."""
    import optuna
    from optuna.trial import TrialState

    name = optuna.get_all_study_names(storage)[0]
    trials = optuna.load_study(study_name=name, storage=storage).trials
    found = []
    for trial in sorted((t for t in trials if t.datetime_complete), key=lambda t: t.datetime_complete):
        after = float(np.interp(trial.datetime_complete.timestamp(), *zip(*clock, strict=True)))
        row = {"after": after, "method": trial.params.get("method")}
        row["state"] = trial.state.name.lower()
        if trial.state is TrialState.COMPLETE:
            parameters = trial.values[1] if len(trial.values) > 1 else trial.user_attrs["trainable_parameters"]
            row.update(macro_f1=trial.values[0], trainable_parameters=parameters)
        found.append(row)
    return found


def search_plainly(way: str, seed: int, storage: str, options: argparse.Namespace) -> None:
    """Search as a person would: with an objective function that draws, trains and returns, and `study.optimize`."""
    import optuna
    from optuna.pruners import MedianPruner, NopPruner

    from peftsearch.data.load import load_data
    from peftsearch.study.overrides import Overrides, from_here
    from peftsearch.study.spec import load_study
    from peftsearch.study.suggest import suggest

    rows = {"train": options.train, "validation": options.validation}
    spec = load_study(str(STUDY), Overrides({"train": from_here(str(options.data))}, limit=rows))
    folder = Path(storage.removeprefix("sqlite:///")).parent
    data = load_data(spec.data, spec.folder, folder / "data")
    several = way in PLAIN

    def objective(trial: Any) -> Any:
        config = suggest(spec, trial)
        stop = None if several else _asking(trial)
        bf16 = way == "plain-bf16"
        found = plain.train(config, data, folder / "trainer", time.perf_counter, bf16=bf16, after_epoch=stop)
        trial.set_user_attr("trainable_parameters", found["trainable_parameters"])
        best = max(found["macro_f1"])
        return (best, found["trainable_parameters"], found["train_seconds"]) if several else best

    study = optuna.create_study(
        storage=storage,
        directions=spec.directions if several else ["maximize"],
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=NopPruner() if several else MedianPruner(),
    )
    study.optimize(objective, n_trials=options.trials)


def _asking(trial: Any) -> plain.AfterEpoch:
    def ask(epoch: int, macro_f1: float) -> None:
        import optuna

        trial.report(macro_f1, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    return ask


def losses(trials: Sequence[dict[str, Any]]) -> Array:
    """The losses of the complete trials, each in 0..1. Shape (trials, 2)."""
    span = math.log10(MOST / FEWEST)
    return np.array(
        [(1 - t["macro_f1"], math.log10(t["trainable_parameters"] / FEWEST) / span) for t in trials if "macro_f1" in t]
    ).reshape(-1, 2)


def volume(run: dict[str, Any], seconds: float = math.inf) -> float:
    """The hypervolume of the trials that had ended after `seconds`."""
    found = losses([t for t in run["trials"] if t["after"] <= seconds])
    return hypervolume(found, np.ones(2)) if len(found) else 0.0


def reached(run: dict[str, Any], wanted: float) -> float:
    """The seconds until the hypervolume reaches `wanted`; infinite if it never does."""
    return next((t["after"] for t in run["trials"] if volume(run, t["after"]) >= wanted), math.inf)


def table(results: list[dict[str, Any]]) -> str:
    """A Markdown table; the last columns say when a run reached the final hypervolume of each plain search."""
    header = ["seed", "way", "seconds", "trials", "stopped", "on the front", "hypervolume"]
    for way in PLAIN:
        header += [f"has that of {way} after", "share of its time"]
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    for seed in sorted({r["seed"] for r in results}):
        runs = {r["way"]: r for r in results if r["seed"] == seed}
        for way in (way for way in WAYS if way in runs):
            run = runs[way]
            states = [t["state"] for t in run["trials"]]
            cells = [seed, way, f"{run['seconds']:.0f}", len(states), states.count("pruned")]
            cells += [int(non_dominated(losses(run["trials"])).sum()), f"{volume(run):.4f}"]
            for other in PLAIN:
                cells += _compared(run, runs[other]) if other in runs else ["–", "–"]
            lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def _compared(run: dict[str, Any], plain: dict[str, Any]) -> list[str]:
    after = reached(run, volume(plain))
    return [f"{after:.0f} s", f"{after / plain['seconds']:.2f}"] if math.isfinite(after) else ["never", "–"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a file of labelled texts")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--train", type=int, default=1000, help="training rows")
    parser.add_argument("--validation", type=int, default=500, help="validation rows")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "search.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
