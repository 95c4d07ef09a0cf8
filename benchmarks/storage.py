"""Measure how many workers a database bears: SQLite, PostgreSQL, and PostgreSQL behind pgbouncer.

    python -m benchmarks.storage --parts costs     # one call beside the trials of 2 … 200 workers
    python -m benchmarks.storage --parts load --databases postgres --workers 200 --seconds 160 --per-machine 100
    python -m benchmarks.storage --parts costs --databases postgres --workers 2 --finished 10000

The workers run the product's own loop, claims, reports and heartbeats (`benchmarks/made_up_workers.py`). `costs` has
one of them, and rows in the database for the running trials of all others, so that its processor seconds depend little
on how busy this machine is. `load` runs all of them, as forks that share the memory of what is loaded, with a
supervisor for every `--per-machine` workers. Its seconds are those of this machine, which the workers share with the
server: their own Python takes half a second of a processor for a trial, so many workers need longer trials. `with a
core` leaves out how long a worker waited for a core of this machine, as it would on a machine of its own. Once each
of them has a trial, calls are counted for `--window` seconds; then trials take no time, until the budget is spent.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from benchmarks import filled
from benchmarks.databases import KINDS, Database, database
from benchmarks.made_up_workers import (
    EPOCHS,
    HURRY,
    Call,
    MadeUpTask,
    Meter,
    Result,
    never_stop,
    new_study,
    others_at_work,
    supervise,
    task_of,
)

from peftsearch.search import execute
from peftsearch.storage.database import reopen_study
from peftsearch.storage.liveness.heartbeat import HEARTBEAT_SECONDS, Heartbeat
from peftsearch.storage.liveness.worker_identity import identity
from peftsearch.storage.records import records
from peftsearch.workers.job import Job

TRIAL_SECONDS = 60.0
PER_TRIAL = {"claim": 1, "report": EPOCHS, "beat": TRIAL_SECONDS / HEARTBEAT_SECONDS, "tell": 1}
"""The calls of a trial of a minute."""

SHARE = 0.5
"""A core of the server is taken to be full when calls keep it busy for this share of the time."""

Found = dict[str, dict[str, float]]


def costs(kind: str, options: argparse.Namespace) -> Iterator[tuple[int, Found]]:
    """One worker's calls beside the running trials of others, of more and more of them.

    Returns:
        For each number of workers, and each call: the medians of its wall seconds, its thread's processor seconds and
        its statements, and the mean of the server's processor seconds.
    """
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as found:
        job = new_study(found, Path(name), options.finished)
        meter = Meter()
        meter.count_statements()
        task, there = task_of(job, meter), 1
        for workers in sorted(map(int, options.workers.split(","))):
            others_at_work(task.study, task.spec, workers - there)
            there, meter.found = workers, {}
            one = OneWorker(task, job, meter, found)
            for _ in range(options.repeats):
                one.trial()
            calls = {call: np.array(took)[:, :3] for call, took in meter.found.items()}
            yield (
                workers,
                {
                    call: {
                        **dict(zip(("wall", "processor", "statements"), np.median(took, axis=0).tolist(), strict=True)),
                        "server": one.served[call] / len(took),
                    }
                    for call, took in calls.items()
                },
            )


@dataclass
class OneWorker:
    """Goes through trials call by call, and measures what each costs the server."""

    task: MadeUpTask
    job: Job
    meter: Meter
    database: Database
    served: Counter[str] = field(default_factory=Counter)

    def trial(self) -> None:
        """One trial from its claim to its end."""
        task, study = self.task, self.task.study
        trial, config = self._timed("claim", lambda: task._task(None).claim(identity("cpu")))
        heart = Heartbeat(study)
        heart.hold(trial.number)
        reporter = execute.Reporter(study, trial, config, self.job.pruner)
        curve, measured = filled.outcome(config, EPOCHS)
        for epoch in curve:
            self._timed("report", lambda epoch=epoch: reporter(epoch))
            self._timed("beat", heart.beat)
            self._timed("look", lambda: records(study))

        def told() -> None:
            folder = self.job.run_folder
            execute._complete(study, trial, Result(measured), folder, reporter.record, None)
            execute.delete_dominated(study, folder.weights, task.spec.objectives)

        self._timed("tell", told)

    def _timed(self, call: str, do: Callable[[], Any]) -> Any:
        before = self.database.processor_seconds()
        answer = self.meter.measured(call, do)
        self.served[call] += self.database.processor_seconds() - before  # type: ignore[assignment]
        return answer


def workers_borne(found: Found, workers: int, supervisors: int) -> float:
    """The workers of one-minute trials that keep one core of the server busy for `SHARE` of the time.

    Args:
        found: the server's costs beside so many workers.
        supervisors: that look at the trials, as often as they do then.
    """
    trial = sum(times * found[call]["server"] for call, times in PER_TRIAL.items())
    looks = supervisors * found["look"]["server"] / max(1.0, 10 * found["look"]["wall"])
    return workers * SHARE / (workers * trial / TRIAL_SECONDS + looks)


def load(kind: str, options: argparse.Namespace) -> Iterator[tuple[int, dict[str, Any]]]:
    """Many workers at once, each for a few trials: what they found, and what was wrong at the end."""
    for workers in map(int, options.workers.split(",")):
        yield workers, _loaded(kind, workers, options)


def _loaded(kind: str, workers: int, options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as found:
        folder = Path(name)
        for each in ("said", "signals"):
            (folder / each).mkdir()
        job = Job.from_line(_in_fork(lambda: new_study(found, folder, options.finished).to_line()))
        counted = _in_fork(lambda: sum(one.counts for one in records(reopen_study(job.storage, job.name, 60))))
        lasts = workers / options.starts / 2 + options.window  # how long a worker works until the window ends
        more = workers * (1.2 + lasts / options.seconds)
        job = replace(job, budget=counted + int(more), since=time.time())
        began = time.time()
        shares = [len(share) for share in np.array_split(range(workers), -(-workers // options.per_machine))]
        pace = options.starts / len(shares)
        machines = [_fork(lambda share=share: supervise(job, share, options.seconds, pace, folder)) for share in shares]
        window = Window(found, folder / "signals", workers, options.window)
        window.watch(machines)
        wrong = _in_fork(lambda: _wrong(job))
        said = [json.loads(file.read_text()) for file in (folder / "said").iterdir()]
    calls: dict[str, list[Call]] = {}
    for each in said:
        for call, took in each["found"].items():
            calls.setdefault(call, []).extend(tuple(one) for one in took)
    return {
        "seconds": options.seconds, "budget": int(more), "started": window.began - began, "took": time.time() - began,
        "wrong": wrong, **window.found(), "starting": _rates(calls, began, window.began),
        "calls": _rates(calls, window.began, window.ended),
    }  # fmt: skip


def _rates(calls: dict[str, list[Call]], since: float, until: float) -> dict[str, Any]:
    """What the calls took that ended between two times."""
    within = {call: [one for one in took if since <= one[-1] <= until] for call, took in calls.items()}
    return {
        call: {
            "number": len(took),
            "a second": len(took) / (until - since),
            "p50": float(np.quantile([one[0] for one in took], 0.5)),
            "p95": float(np.quantile([one[0] for one in took], 0.95)),
            "most": max(one[0] for one in took),
            "p50 with a core": float(np.quantile([one[0] - one[3] for one in took], 0.5)),
            "p95 with a core": float(np.quantile([one[0] - one[3] for one in took], 0.95)),
            "processor": statistics.median(one[1] for one in took),
        }
        for call, took in within.items()
        if took
    }


@dataclass
class Window:
    """The time in which calls are counted: from the moment at which each worker has a trial.

    Attributes:
        seconds: how long it is.
        samples: for each look in it, when it was, the processor seconds of the server, the connections, and the
            transactions.
        worked: the processor seconds of the workers at its beginning and at its end.
        memory: what one of the workers takes for itself alone, in MiB, the mean of some of them.
    """

    database: Database
    signals: Path
    workers: int
    seconds: float
    samples: list[tuple[float, float, int, int]] = field(default_factory=list)
    worked: list[float] = field(default_factory=list)
    memory: float = 0.0

    @property
    def began(self) -> float:
        return self.samples[0][0]

    @property
    def ended(self) -> float:
        return self.samples[-1][0]

    def watch(self, machines: Sequence[int]) -> None:
        """Look every two seconds until all machines have ended."""
        alive = set(machines)
        while alive:
            claimed = [int(file.name.partition("-")[2]) for file in self.signals.glob("claimed-*")]
            if len(claimed) >= self.workers and not (self.signals / HURRY).exists():
                self._sample()
                self.worked = self.worked or [sum(map(_all_seconds, claimed))]
                if self.ended - self.began >= self.seconds:
                    self.worked.append(sum(map(_all_seconds, claimed)))
                    self.memory = statistics.mean(map(_own_memory, claimed[:10]))
                    (self.signals / HURRY).touch()
                    print(f"{len(claimed)} workers, {self.ended - self.began:.0f} s", file=sys.stderr, flush=True)
            time.sleep(2.0)
            alive -= {pid for pid in alive if os.waitpid(pid, os.WNOHANG)[0]}

    def found(self) -> dict[str, Any]:
        first, last = self.samples[0], self.samples[-1]
        window = last[0] - first[0]
        return {
            "window": window,
            "server cores": (last[1] - first[1]) / window,
            "worker cores": (self.worked[-1] - self.worked[0]) / window,
            "transactions a second": (last[3] - first[3]) / window,
            "connections": max(sample[2] for sample in self.samples),
            "MiB of a worker": self.memory,
        }

    def _sample(self) -> None:
        now, database = time.time(), self.database
        served = database.processor_seconds() + database.ended_seconds()
        self.samples.append((now, served, database.connections(), database.transactions()))


def _all_seconds(pid: int) -> float:
    """The processor seconds of all threads of a process."""
    took = psutil.Process(pid).cpu_times()
    return float(took.user + took.system)


def _own_memory(pid: int) -> float:
    """What a process shares with no other one, in MiB."""
    return float(psutil.Process(pid).memory_full_info().uss) / 2**20


def _wrong(job: Job) -> dict[str, Any]:
    """What should be so many times as it is, and what should not be there."""
    study = reopen_study(job.storage, job.name, job.storage_patience)
    known = [record for record in records(study) if record.counts]
    keys = Counter(record.config.key() for record in known if record.config and record.state != "failed")
    failures = Counter(
        (trial.user_attrs.get("failure") or {}).get("kind") for trial in study.get_trials(deepcopy=False)
    )
    return {
        "trials beside the budget": len(known) - (job.budget or 0),
        "unfinished": sum(not record.done for record in known),
        "duplicates": sum(times - 1 for times in keys.values()),
        "withdrawn": failures["withdrawn"],
        "duplicates that made way": failures["duplicate"],
        "killed": failures["killed"] + failures["interrupted"],
    }


def _fork(call: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        call()
        os._exit(0)
    except BaseException:
        import traceback

        traceback.print_exc()
        os._exit(1)


def _in_fork(call: Callable[[], Any]) -> Any:
    """What `call` returns in another process, so that this one has no connection that its forks would share."""
    with tempfile.NamedTemporaryFile("r") as file:
        if os.waitpid(_fork(lambda: Path(file.name).write_text(json.dumps(call()))), 0)[1]:
            raise SystemExit("it failed")
        return json.load(file)


def _load_all() -> None:
    """Import what a worker imports, so that its forks share it: what one of them has loaded at its end."""

    def loaded() -> list[str]:
        with tempfile.TemporaryDirectory() as name, database("sqlite", Path(name)) as found:
            job, meter = new_study(found, Path(name), 40), Meter()
            OneWorker(task_of(job, meter), job, meter, found).trial()

            return [module for module in sys.modules if not module.startswith("__")]

    for module in _in_fork(loaded):
        with suppress(ImportError):
            importlib.import_module(module)


def main() -> None:
    options = _options()
    never_stop()
    _load_all()
    parts = {"costs": costs, "load": load}
    for part in options.parts.split(","):
        for kind in options.databases.split(","):
            for workers, found in parts[part](kind, options):
                line = {"part": part, "database": kind, "workers": workers, "finished": options.finished, **found}
                if part == "costs" and kind != "sqlite":
                    line["borne"] = workers_borne(found, workers, -(-workers // options.per_machine))
                line["load"] = os.getloadavg()[0]
                print(json.dumps(line), flush=True)
                with options.results.open("a") as file:
                    file.write(json.dumps(line) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default="costs,load")
    parser.add_argument("--databases", default=",".join(KINDS))
    parser.add_argument("--workers", default="2,16,64,200")
    parser.add_argument("--finished", type=int, default=1000, help="trials that the study holds before")
    parser.add_argument("--repeats", type=int, default=10, help="trials of `costs`")
    parser.add_argument("--seconds", type=float, default=TRIAL_SECONDS, help="of a trial of `load`")
    parser.add_argument("--window", type=float, default=60.0, help="seconds in which calls of `load` are counted")
    parser.add_argument("--starts", type=float, default=3.0, help="workers of `load` that are started a second")
    parser.add_argument("--per-machine", type=int, default=25, help="workers of a supervisor")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "storage.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
