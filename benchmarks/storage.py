"""Measure how many workers a database bears: SQLite, PostgreSQL, and PostgreSQL behind pgbouncer.

    python -m benchmarks.storage --parts costs     # one call beside the trials of 2 … 200 workers
    python -m benchmarks.storage --parts load --databases postgres --workers 200
    python -m benchmarks.storage --parts costs --databases postgres --workers 2 --finished 10000

The workers run the product's own loop, claims, reports and heartbeats (`benchmarks/made_up_workers.py`). `costs` has
one of them, and rows in the database for the running trials of all others, so that its processor seconds depend little
on how busy this machine is. `load` runs all of them, with a supervisor for every `--per-machine` workers; its seconds
are those of this machine, which the workers share with the server.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks import filled
from benchmarks.databases import KINDS, Database, database
from benchmarks.made_up_workers import (
    EPOCHS,
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
        task, there = task_of(job, meter, 0.0), 1
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
            execute._complete(study, trial, Result(measured), folder)
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
    seconds, rounds = options.seconds, options.rounds
    with tempfile.TemporaryDirectory() as name, database(kind, Path(name)) as found:
        folder = Path(name)
        said = folder / "said"
        said.mkdir()
        _in_fork(lambda: (folder / "job").write_text(new_study(found, folder, options.finished).to_line()))
        job = Job.from_line((folder / "job").read_text())
        job = replace(job, budget=_budget(job) + workers * rounds, since=time.time())
        began = time.time()
        shares = [len(share) for share in np.array_split(range(workers), -(-workers // options.per_machine))]
        machines = [_fork(lambda share=share: supervise(job, share, seconds, said)) for share in shares]
        samples = list(_sampled(found, machines, began + seconds, began + rounds * seconds))
        wrong = _wrong(job)
        found_by = [json.loads(file.read_text()) for file in said.iterdir()]
    calls: dict[str, list[Call]] = {}
    for each in found_by:
        for call, took in each["found"].items():
            calls.setdefault(call, []).extend(tuple(one) for one in took if samples[0][0] <= one[3] <= samples[-1][0])
    return {"took": time.time() - began, "wrong": wrong, **_rates(calls, samples)}


def _rates(calls: dict[str, list[Call]], samples: Sequence[tuple[float, float, int, int]]) -> dict[str, Any]:
    window = samples[-1][0] - samples[0][0]
    rates = {
        call: {
            "a second": len(took) / window,
            "p50": float(np.quantile([one[0] for one in took], 0.5)),
            "p95": float(np.quantile([one[0] for one in took], 0.95)),
            "processor": statistics.median(one[1] for one in took),
        }
        for call, took in calls.items()
        if took
    }
    return {
        "window": window,
        "server cores": (samples[-1][1] - samples[0][1]) / window,
        "transactions a second": (samples[-1][3] - samples[0][3]) / window,
        "connections": max(sample[2] for sample in samples),
        "calls": rates,
    }


def _sampled(
    found: Database, machines: Sequence[int], first: float, last: float
) -> Iterator[tuple[float, float, int, int]]:
    """Until all machines have ended, and between two times: when, processor seconds, connections, transactions."""
    alive = set(machines)
    while alive:
        now = time.time()
        if first <= now <= last:
            yield now, found.processor_seconds(), found.connections(), found.transactions()
        time.sleep(2.0)
        alive -= {pid for pid in alive if os.waitpid(pid, os.WNOHANG)[0]}


def _budget(job: Job) -> int:
    """How many trials count already."""
    counted: list[int] = []
    _in_fork(
        lambda: (
            Path(job.folder)
            .with_suffix(".count")
            .write_text(str(sum(record.counts for record in records(reopen_study(job.storage, job.name, 60)))))
        )
    )
    counted.append(int(Path(job.folder).with_suffix(".count").read_text()))
    return counted[0]


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


def _in_fork(call: Callable[[], Any]) -> None:
    """Do it in another process, so that this one has no connection that its forks would share."""
    if os.waitpid(_fork(call), 0)[1]:
        raise SystemExit("it failed")


def main() -> None:
    options = _options()
    never_stop()
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
    parser.add_argument("--rounds", type=int, default=3, help="trials of each worker of `load`")
    parser.add_argument("--per-machine", type=int, default=25, help="workers of a supervisor")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results" / "storage.jsonl")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
