"""Measure what a search costs around its trials: between two trials, in long studies, and to show the results.

    python benchmarks/overhead.py                      # all three parts
    python benchmarks/overhead.py --parts claims --sizes 1000

`gaps` trains a probe on few rows in one warm worker. `claims` runs a worker whose trainer trains nothing, in SQLite
studies that hold many finished trials already. `commands` starts `peftsearch` on the same studies. Goals are in wall
time; processor time is measured beside it, for machines that other programs share.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PARTS = ("gaps", "claims", "commands")
COMMANDS = ("front", "trials", "status")
QUIET = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TOKENIZERS_PARALLELISM": "false"}
QUIET |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 33)}  # as in the workers of a search

Seconds = dict[str, list[float]]
"""`wall` and `processor`: the seconds of each time that something was done."""

GOALS = {
    ("gaps", "gap"): 0.3,
    ("claims, 1,000 trials", "claim and tell"): 0.1,
    ("claims, 10,000 trials", "claim and tell"): 1.0,
    ("commands", "--help"): 0.3,
    ("commands, 1,000 trials", "front"): 1.5,
}
"""What is measured → the median of its wall seconds that it must not exceed."""


def main() -> None:
    options = _options()
    if options.one:
        part, _, argument = options.one.partition(":")
        print(json.dumps({"gaps": gaps, "claims": claims}[part](argument, options)))
        return
    results = json.loads(options.results.read_text()) if options.results.exists() else {}
    for part in options.parts.split(","):
        for name, found in _measured(part, options):
            results.setdefault(options.label, {})[name] = found
            print(name, {what: _said(seconds) for what, seconds in found.items()}, file=sys.stderr, flush=True)
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(results, indent=1))
    print(table(results), *goals(results[options.label]), sep="\n")


def goals(results: dict[str, dict[str, Seconds]]) -> Iterator[str]:
    """One line for each goal that has been measured."""
    for (part, what), goal in GOALS.items():
        if what in results.get(part, {}):
            median = statistics.median(results[part][what]["wall"])
            yield f"{part}: {what} takes {median:.3f} s, goal {goal} s: {'met' if median <= goal else 'missed'}"


def _measured(part: str, options: argparse.Namespace) -> Iterator[tuple[str, dict[str, Seconds]]]:
    sizes = [int(size) for size in options.sizes.split(",")]
    if part == "gaps":
        yield "gaps", _in_process("gaps:")
    elif part == "claims":
        yield from ((f"claims, {size:,} trials", _in_process(f"claims:{size}")) for size in sizes)
    else:
        yield "commands", {f"{name} --help".strip(): _run([*name.split(), "--help"], HERE) for name in _names()}
        for size in sizes:
            with tempfile.TemporaryDirectory() as folder:
                _fill(Path(folder) / "runs", size)
                times = 5 if size < 10_000 else 2
                found = {name: _run([name, "--study", "quickstart"], Path(folder), times) for name in COMMANDS}
            yield f"commands, {size:,} trials", found


def _in_process(one: str) -> dict[str, Seconds]:
    """Measure one part in a process of its own, which prints its result."""
    command = [sys.executable, __file__, *sys.argv[1:], "--one", one]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **QUIET}, check=True)
    found: dict[str, Seconds] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run(arguments: list[str], folder: Path, times: int = 5) -> Seconds:
    """Run `peftsearch` with these arguments this many times, after one run that does not count."""
    found: Seconds = {"wall": [], "processor": []}
    command = [sys.executable, "-m", "peftsearch", *arguments]
    for _ in range(times + 1):
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"peftsearch {' '.join(arguments)} failed")
        found["wall"].append(time.perf_counter() - started)
        found["processor"].append(usage.ru_utime + usage.ru_stime)
    return {clock: seconds[1:] for clock, seconds in found.items()}


def _names() -> list[str]:
    """The empty name of `peftsearch` itself, and the names of its commands."""
    from peftsearch.cli import COMMANDS as ALL

    return ["", *ALL]


@dataclass
class Stopwatch:
    """Measures repeated steps, by name."""

    found: dict[str, Seconds] = field(default_factory=dict)
    _since: dict[str, tuple[float, float]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        self._since[name] = (time.perf_counter(), time.process_time())

    def stop(self, name: str) -> None:
        """Record the seconds since `start`; without one, do nothing."""
        if name in self._since:
            wall, processor = self._since.pop(name)
            seconds = self.found.setdefault(name, {"wall": [], "processor": []})
            seconds["wall"].append(time.perf_counter() - wall)
            seconds["processor"].append(time.process_time() - processor)

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        self.start(name)
        yield
        self.stop(name)


def gaps(_: str, options: argparse.Namespace) -> dict[str, Seconds]:
    """Measure the time from each trial's tell to the next trial's first step, while a warm worker trains probes."""
    from optuna.study import Study

    from peftsearch.study.overrides import Overrides
    from peftsearch.study.spec import load_study
    from peftsearch.training.loop.callbacks import AbortTrial

    watch = Stopwatch()
    tell, guard = Study.tell, AbortTrial.on_step_end

    def told(self: Study, *arguments: Any, **named: Any) -> Any:
        found = tell(self, *arguments, **named)
        watch.start("gap")
        return found

    def stepped(self: AbortTrial, *arguments: Any, **named: Any) -> None:
        watch.stop("gap")
        guard(self, *arguments, **named)

    Study.tell, AbortTrial.on_step_end = told, stepped  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "probes.yaml"
        file.write_text(PROBES)
        spec = load_study(str(file), Overrides(limit={"train": 64, "validation": 64}))
        _work(spec, Path(folder), options.repeats + 3)
    return {name: {clock: times[2:] for clock, times in seconds.items()} for name, seconds in watch.found.items()}


def claims(size: str, options: argparse.Namespace) -> dict[str, Seconds]:
    """Measure a worker's claims, reports and tells in a study of `size` finished trials; the `first` ones load them."""

    from peftsearch.study.spec import load_study
    from peftsearch.workers import search_task

    watch, claim = Stopwatch(), search_task.claim_new

    def claimed(*arguments: Any) -> Any:
        watch.stop("tell")
        with watch.timing("claim"):
            return claim(*arguments)

    search_task.claim_new = claimed
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder) / "runs", int(size))
        _work(load_study("quickstart"), Path(folder), options.repeats + 1, trainer(watch))
    first = {f"first {name}": {c: times[:1] for c, times in watch.found[name].items()} for name in ("claim", "tell")}
    later = {name: {c: times[1:] for c, times in s.items()} for name, s in watch.found.items()}
    both = {c: [a + b for a, b in zip(later["claim"][c], later["tell"][c], strict=False)] for c in later["claim"]}
    return {**later, "claim and tell": both, **first}


def trainer(watch: Stopwatch) -> Callable[..., Any]:
    """A trainer that trains nothing: its reports depend on the configuration's key alone."""
    from filled import outcome

    @dataclass(frozen=True)
    class Result:
        measurement: Any
        predictions: None = None

        def save(self, folder: Path) -> None:
            folder.mkdir(parents=True)

    def train(config: Any, report: Callable[[Any], None], should_stop: Callable[[], bool]) -> Result:
        curve, measured = outcome(config)
        try:
            for epoch in curve:
                with watch.timing("report"):
                    report(epoch)
        finally:
            watch.start("tell")
        return Result(measured)

    return train


def _work(spec: Any, folder: Path, trials: int, train: Callable[..., Any] | None = None) -> None:
    """Run this many more trials in this process, as `peftsearch.workers.worker` does."""
    from peftsearch.search.samplers import make_sampler
    from peftsearch.storage.budget import finished
    from peftsearch.storage.database import open_storage, open_study
    from peftsearch.workers import search_task, worker
    from peftsearch.workers.job import Job

    url = f"sqlite:///{folder}/runs/{spec.name}.db"
    study = open_study(
        open_storage(url), spec.name, spec.objectives
    )  # nothing is enqueued, so every claim asks the sampler
    budget = finished(study) + trials
    job = Job(
        document=spec.document, path=str(spec.path), name=spec.name, storage=url, budget=budget,
        folder=str(folder / "runs" / spec.name), sampler=spec.search.sampler, pruner=spec.search.pruner,
        seed=spec.search.seed, startup_trials=spec.search.startup_trials, since=time.time(),
    )  # fmt: skip
    train = train or search_task.real_trainer(spec, job)
    known = search_task.read_history(study)
    study.sampler = make_sampler(job.sampler, job.seed, job.startup_trials, worker=0, trials=known)
    ending = worker.work(study, search_task.SearchTask(study, spec, job, train), job, threading.Event())
    if ending.ending != "budget":
        raise SystemExit(f"the worker ended early: {ending}")


def _fill(folder: Path, size: int) -> None:
    from filled import fill

    from peftsearch.study.spec import load_study

    fill(load_study("quickstart"), folder / "quickstart.db", size)


def table(results: dict[str, dict[str, dict[str, Seconds]]]) -> str:
    """A Markdown table with a row for each measured step, and wall and processor seconds for each label."""
    columns = [f" {label}: wall | processor |" for label in results]
    lines = ["| what |" + "".join(columns), "|---|" + "---|---|" * len(results)]
    names = {(part, what): None for found in results.values() for part, whats in found.items() for what in whats}
    for part, what in names:
        cells = [_cells(found.get(part, {}).get(what)) for found in results.values()]
        lines.append(f"| {part}: {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(seconds: Seconds | None) -> str:
    return " | ".join(_spread(seconds[clock]) for clock in ("wall", "processor")) if seconds else "– | –"


def _said(seconds: Seconds) -> str:
    return f"{_spread(seconds['wall'])} s, processor {_spread(seconds['processor'])}, {len(seconds['wall'])} times"


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} ({min(values):.3f}–{max(values):.3f})"


PROBES = """\
name: probes
data:
  source: package:peftsearch/resources/wordnet-nouns
  text: text
  label: label
  splits: {validation: 0.15, test: 0.2, seed: 42}
  max_length: 32
backbones: [sentence-transformers/all-MiniLM-L6-v2]
training: {epochs: 2, batch_size: 32}
methods:
  probe: {learning_rate: {log: [1.0e-3, 1.0e-1]}, head: [linear, mlp], pooling: [cls, mean]}
"""


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--sizes", default="100,1000,10000", help="finished trials of the studies")
    parser.add_argument("--repeats", type=int, default=20, help="trials that a worker runs")
    parser.add_argument("--label", default="now", help="name of these results in the results file")
    parser.add_argument("--results", type=Path, default=HERE / "results" / "overhead.json")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
