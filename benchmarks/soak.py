"""Kill the processes of a search at random until it has ended, then check that nothing was lost.

    python -m benchmarks.soak --storage sqlite --trials 300
    python -m benchmarks.soak --storage postgres --trials 40 --seed 3
    python -m benchmarks.soak --storage postgres --trials 200 --machines 2 --workers 4 --artifacts

The trials train nothing: each takes `--seconds`. Every `--kill-every` seconds SIGKILL goes to a worker, the parent,
both, or all processes of the PostgreSQL server, which is started again within seconds. A parent that is gone is
started again, as a user would, until it says that the budget is spent. With `--artifacts` the weights of the front are
kept in a folder that all machines share, and at the end an empty folder must get each of them from there. The exit code
is 1 if a check failed.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
from optuna.artifacts.exceptions import ArtifactNotFound
from tests.helpers.postgres import Server, running
from tests.helpers.search import STUDY, Search, new_search

from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.points import Point
from peftsearch.storage.artifacts.archive import Damaged, unpack
from peftsearch.storage.artifacts.fetch import artifact_of
from peftsearch.storage.artifacts.listed import artifacts_of
from peftsearch.storage.artifacts.place import open_place
from peftsearch.storage.artifacts.settle import settle
from peftsearch.storage.artifacts.shelf import Shelf, names_of
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.kept.front_checkpoints import delete_dominated
from peftsearch.storage.kept.known_front import known_front, on_a_front
from peftsearch.storage.points import points_of
from peftsearch.storage.prepare import prepare
from peftsearch.storage.records import Record
from peftsearch.study.suggest import baseline_config
from peftsearch.workers.job import Job

ROOT = Path(__file__).parents[1]
EPOCHS = 3
BASELINES = "".join(
    f"  - {{method: {method}, learning_rate: {rate}}}\n"
    for method, rate in (
        ("full", 3e-5),
        ("full", 5e-5),
        ("lora", 2e-4),
        ("lora", 5e-4),
        ("probe", 2e-3),
        ("probe", 5e-3),
    )
)
OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")

KILLED = ("killed", "interrupted")
"""Kinds of failure of trials whose worker was killed, alone or together with its parent."""

DOWN_SECONDS = 5.0
"""For how long at most the server is away."""

LEAVING_SECONDS = 60.0
"""How long workers have to notice that their parent is gone."""


@dataclass
class Machine:
    """A folder of its own with a parent and its workers and, if it has a name, a host of that name.

    Attributes:
        done: whether its parent has said that the budget is spent.
    """

    search: Search
    name: str = ""
    parent: subprocess.Popen[str] | None = None
    done: bool = False

    def start(self, workers: int) -> None:
        command = [sys.executable, "-m", "tests.helpers.optimize", self.search.job.to_line(), str(workers)]
        if self.name:  # a host of another name is all by which workers tell another machine
            command = ["unshare", "--uts", "sh", "-c", f'hostname {self.name} && exec "$@"', "sh", *command]
        self.parent = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def processes(self) -> tuple[psutil.Process, list[psutil.Process]]:
        """The parent and its workers."""
        assert self.parent is not None
        leader = psutil.Process(self.parent.pid)
        return leader, [child for child in leader.children() if "worker" in " ".join(child.cmdline())]


@dataclass
class Soak:
    """One search on one or more machines, and what was done to it."""

    machines: Sequence[Machine]
    workers: int
    server: Server | None
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    gave_up: list[str] = field(default_factory=list)
    seen: set[psutil.Process] = field(default_factory=set)

    @property
    def search(self) -> Search:
        return self.machines[0].search

    def run(self, every: float, longest: float) -> bool:
        """Start parents and kill what there is, until each has spent the budget; False if not all do in time."""
        end, strike = time.monotonic() + longest, time.monotonic() + every
        for machine in self.machines:
            self._start(machine)
        while time.monotonic() < end:
            left = [machine for machine in self.machines if not machine.done]
            if not left:
                return True
            for machine in left:
                self._look_after(machine)
            if time.monotonic() >= strike:
                self._strike(self.chance.choice(left))
                strike = time.monotonic() + every
        for machine in self.machines:
            if machine.parent is not None:
                machine.parent.kill()
                machine.parent.communicate()
        return False

    def _start(self, machine: Machine) -> None:
        self.starts += 1
        machine.start(self.workers)

    def _look_after(self, machine: Machine) -> None:
        """Start a parent again that has ended before its time."""
        assert machine.parent is not None
        with suppress(subprocess.TimeoutExpired):
            said, errors = machine.parent.communicate(timeout=0.2)
            machine.done = self._is_done(machine.parent.returncode, said, errors)
            if not machine.done:
                self._start(machine)

    def _is_done(self, code: int, said: str, errors: str) -> bool:
        """Whether this was the last parent. One that was not killed, and has not spent the budget, has given up."""
        outcome = json.loads(said) if code == 0 else {}
        if code >= 0 and outcome.get("how") != "done":
            self.gave_up.append(outcome.get("message") or (errors.strip().splitlines() or ["in silence"])[-1])
        return outcome.get("how") == "done"

    def _strike(self, machine: Machine) -> None:
        """Kill a part of the search."""
        with suppress(psutil.NoSuchProcess):
            leader, workers = machine.processes()
            self.seen.update(workers)
            kinds: dict[str, Collection[psutil.Process]] = {
                "parent": [leader],
                "parent and workers": [leader, *workers],
            }
            if workers:
                kinds["worker"] = [self.chance.choice(workers)]
            kind = self.chance.choice([*kinds, *(["server"] if self.server else [])])
            self.kills[kind] += 1
            if kind == "server" and self.server:
                self.server.kill()
                time.sleep(self.chance.uniform(0, DOWN_SECONDS))
                self.server.start()
            for process in kinds.get(kind, ()):
                process.kill()

    def tidy(self) -> None:
        """Delete what left the front after a machine's last trial; its next search would do it."""
        study = open_study(open_storage(self.search.job.storage), self.search.job.name, OBJECTIVES)
        for machine in self.machines:
            delete_dominated(study, machine.search.job.run_folder.weights, OBJECTIVES)

    def orphans(self) -> int:
        """How many workers have outlived their parent; they are killed."""
        _, alive = psutil.wait_procs(self.seen, timeout=LEAVING_SECONDS)
        for process in alive:
            process.kill()
        return len(alive)


def audit(
    records: Sequence[Record], budget: int, baselines: Collection[str], weights: Mapping[str, Path]
) -> dict[str, str]:
    """What must hold at the end → what is wrong; empty where it holds.

    Args:
        baselines: the keys of their configurations.
        weights: name of each machine → the folder of its checkpoints; the name is "" where there is one machine.
    """
    complete = [record for record in records if record.state == "complete"]
    keys = Counter(record.config.key() for record in complete if record.config)
    left = Counter(record.state for record in records if record.state in ("running", "waiting"))
    failures = Counter(record.failure["kind"] for record in records if record.failure)
    twice = [key for key, times in keys.items() if times > 1]
    untried = [key for key in baselines if key not in keys]
    points = points_of(complete, OBJECTIVES)
    kept = {point.point for some in (points, complete) for point in some if not any(_dominates(p, point) for p in some)}
    kept |= {record.point for record in complete if _best_epoch(record) in kept}
    trained = {record.number: _machine_of(record, weights) for record in complete}
    front = {str(point): weights[trained[point.trial]] / str(point) for point in kept}
    there = {
        child.name
        for name, folder in weights.items()
        if folder.is_dir()
        for child in folder.iterdir()
        if child.is_dir()
    }
    lost = {name for name, folder in front.items() if not folder.is_dir()}
    broken = [name for name in sorted(front.keys() - lost) if not _is_whole(front[name])]
    return {
        f"exactly {budget} trials are finished": "" if len(complete) == budget else f"{len(complete)} are",
        "no trial is running or waiting": _listed(left),
        "no trial failed but by a kill": _listed(
            {k: n for k, n in failures.items() if k not in ("killed", "interrupted")}
        ),
        "no configuration was trained twice": _listed(twice),
        "every baseline was trained": f"{len(untried)} of {len(baselines)} were not" if untried else "",
        "the front's weights are on the machine that its trials name": _listed(lost),
        "the front's weights are whole": _listed(broken),
        "no other weights are there": _listed(there - front.keys()),
    }


def _best_epoch(record: Record) -> Point | None:
    return Point(record.number, record.measurement.best_epoch) if record.measurement else None


def _machine_of(record: Record, weights: Mapping[str, Path]) -> str:
    """The machine that the trial says it was trained on."""
    return str(record.worker.get("host", "")).partition("/")[0] if len(weights) > 1 else ""


def _dominates(one: Record, other: Record) -> bool:
    """Written out once more: the product's own comparison is a part of what is checked."""
    mine, its = (
        (-r.values["macro_f1"], r.values["trainable_parameters"], r.values["train_seconds"]) for r in (one, other)
    )
    return mine != its and all(a <= b for a, b in zip(mine, its, strict=True))


def _is_whole(folder: Path) -> bool:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        load_file(folder / "trainable.safetensors")
    except (OSError, SafetensorError):
        return False
    return (folder / "trial.json").is_file()


def _listed(found: Collection[str]) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
    return ", ".join(sorted(found))


@contextmanager
def prepared(options: argparse.Namespace) -> Iterator[Soak]:
    """A new search in a temporary folder for each machine, on the storage that was asked for."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("FAKE_SECONDS", str(options.seconds / EPOCHS))
        server = stack.enter_context(running()) if options.storage == "postgres" else None
        url = server.new_database() if server else f"sqlite:///{folder}/storage.db"
        names = [f"machine-{index}" for index in range(options.machines)] if options.machines > 1 else [""]
        machines = []
        for name in names:
            (folder / name).mkdir(exist_ok=True)
            made = new_search(folder / name, patch, STUDY + BASELINES)
            job = replace(made.job, budget=options.trials, storage=url)
            machines.append(Machine(replace(made, job=job), name))
        if options.artifacts:
            place = settle(prepare(made.spec, url), str(folder / "artifacts"))
            for machine in machines:
                machine.search = replace(machine.search, job=replace(machine.search.job, artifacts=place))
        yield Soak(machines, options.workers, server, random.Random(options.seed))


def reachable(job: Job) -> dict[str, str]:
    """What must hold of the weights in the place that all machines share → what is wrong.

    An empty folder stands for a machine that has trained nothing.
    """
    study = open_study(open_storage(job.storage, write=True), job.name, OBJECTIVES)
    with tempfile.TemporaryDirectory() as empty:
        store = open_place(str(job.artifacts))
        Shelf(study, RunFolder(Path(empty)), store).sweep()
        known = known_front(study, OBJECTIVES)
        front = [point for point in known if point.point in on_a_front(known, OBJECTIVES)]
        lost = []
        for point in front:
            artifact = artifact_of(study, point)
            folder = Path(empty) / "weights" / str(point.point)
            if artifact is not None:
                with suppress(Damaged, ArtifactNotFound), closing(store.open_reader(artifact.id)) as archive:
                    unpack(archive, folder, lambda _: None)  # made-up trials keep no configuration in their weights
            lost += [] if _is_whole(folder) else [f"{point.point} ({'damaged or gone' if artifact else 'not listed'})"]
    serving = {name for point in front for name in names_of(point)}
    return {
        f"an empty folder gets the weights of all {len(front)} points of the front": _listed(lost),
        "no other weights are in the shared place": _listed(
            {str(one.point) for one in artifacts_of(study) if one.point not in serving}
        ),
    }


def checked(soak: Soak, budget: int, in_time: bool) -> dict[str, str]:
    """`audit`, and what only the soak itself has seen."""
    orphans = soak.orphans()
    soak.tidy()
    job = soak.search.job
    baselines = {baseline_config(soak.search.spec, baseline).key() for baseline in soak.search.spec.baselines}
    return {
        "a parent ended with the budget spent": "" if in_time else "none did in time",
        "no parent gave up": " | ".join(f"{times} times: {why[:200]}" for why, times in Counter(soak.gave_up).items()),
        "no worker outlived its parent": str(orphans or ""),
        **audit(
            soak.search.records(), budget, baselines, {m.name: m.search.job.run_folder.weights for m in soak.machines}
        ),
        **(reachable(job) if job.artifacts else {}),
    }


def main() -> int:
    options = options_of(sys.argv[1:])
    with prepared(options) as soak:
        began = time.monotonic()
        in_time = soak.run(
            options.kill_every,
            options.longest + 10 * options.trials * options.seconds / options.workers / options.machines,
        )
        took = time.monotonic() - began
        checks = checked(soak, options.trials, in_time)
    print(
        f"{options.storage}, seed {options.seed}: {took:.0f} s, {soak.starts} parents, killed: {_listed(soak.kills)}\n"
    )
    print("| what must hold | |\n|---|---|")
    for what, wrong in checks.items():
        print(f"| {what} | {'NO: ' + wrong if wrong else 'yes'} |")
    return 1 if any(checks.values()) else 0


def options_of(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a trial takes")
    parser.add_argument("--kill-every", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--workers", type=int, default=2, help="of each machine")
    parser.add_argument("--machines", type=int, default=1, help="with a folder and a host's name each; needs root")
    parser.add_argument(
        "--longest", type=float, default=120, help="seconds that are allowed beside ten times the trials'"
    )
    parser.add_argument("--artifacts", action="store_true", help="keep the front's weights in a shared folder, too")
    parser.add_argument("--seed", type=int, default=0, help="of who is killed")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
