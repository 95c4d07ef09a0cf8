"""Kill the processes of a search at random until it has ended, then check that nothing was lost.

    python -m benchmarks.soak --storage sqlite --trials 300
    python -m benchmarks.soak --storage postgres --trials 40 --seed 3

The trials train nothing: each takes `--seconds`. Every `--kill-every` seconds SIGKILL goes to a worker, the parent,
both, or all processes of the PostgreSQL server, which is started again within seconds. A parent that is gone is
started again, as a user would, until it says that the budget is spent. The exit code is 1 if a check failed.
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
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil
import pytest
from tests.helpers.postgres import Server, running
from tests.helpers.search import STUDY, Search, new_search

from peftsearch.storage.records import Record
from peftsearch.study.suggest import baseline_config

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
KILLED = ("killed", "interrupted")
"""Kinds of failure of trials whose worker was killed, alone or together with its parent."""

DOWN_SECONDS = 5.0
"""For how long at most the server is away."""

LEAVING_SECONDS = 60.0
"""How long workers have to notice that their parent is gone."""


@dataclass
class Soak:
    """One search, and what was done to it."""

    search: Search
    workers: int
    server: Server | None
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    gave_up: list[str] = field(default_factory=list)
    seen: set[psutil.Process] = field(default_factory=set)

    def run(self, every: float, longest: float) -> bool:
        """Start parents and kill what there is, until one of them has spent the budget; False if none does in time."""
        end, strike = time.monotonic() + longest, time.monotonic() + every
        parent = self._start()
        while time.monotonic() < end:
            with suppress(subprocess.TimeoutExpired):
                said, errors = parent.communicate(timeout=max(0.1, strike - time.monotonic()))
                if self._is_done(parent.returncode, said, errors):
                    return True
                parent = self._start()
            if time.monotonic() >= strike:
                self._strike(parent)
                strike = time.monotonic() + every
        parent.kill()
        parent.communicate()
        return False

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        command = [sys.executable, "-m", "tests.helpers.optimize", self.search.job.to_line(), str(self.workers)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def _is_done(self, code: int, said: str, errors: str) -> bool:
        """Whether this was the last parent. One that was not killed, and has not spent the budget, has given up."""
        outcome = json.loads(said) if code == 0 else {}
        if code >= 0 and outcome.get("how") != "done":
            self.gave_up.append(outcome.get("message") or (errors.strip().splitlines() or ["in silence"])[-1])
        return outcome.get("how") == "done"

    def _strike(self, parent: subprocess.Popen[str]) -> None:
        """Kill a part of the search."""
        with suppress(psutil.NoSuchProcess):
            leader = psutil.Process(parent.pid)
            workers = [child for child in leader.children() if "worker" in " ".join(child.cmdline())]
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

    def orphans(self) -> int:
        """How many workers have outlived their parent; they are killed."""
        _, alive = psutil.wait_procs(self.seen, timeout=LEAVING_SECONDS)
        for process in alive:
            process.kill()
        return len(alive)


def audit(records: Sequence[Record], budget: int, baselines: Collection[str], weights: Path) -> dict[str, str]:
    """What must hold at the end → what is wrong; empty where it holds.

    Args:
        baselines: the keys of their configurations.
        weights: the folder of the checkpoints.
    """
    complete = [record for record in records if record.state == "complete"]
    keys = Counter(record.config.key() for record in complete if record.config)
    left = Counter(record.state for record in records if record.state in ("running", "waiting"))
    failures = Counter(record.failure["kind"] for record in records if record.failure)
    twice = [key for key, times in keys.items() if times > 1]
    lost = [key for key in baselines if key not in keys]
    front = {str(record.number) for record in complete if not any(_dominates(other, record) for other in complete)}
    there = {child.name for child in weights.iterdir()} if weights.is_dir() else set()
    broken = [name for name in sorted(front & there) if not _is_whole(weights / name)]
    return {
        f"exactly {budget} trials are finished": "" if len(complete) == budget else f"{len(complete)} are",
        "no trial is running or waiting": _listed(left),
        "no trial failed but by a kill": _listed(
            {k: n for k, n in failures.items() if k not in ("killed", "interrupted")}
        ),
        "no configuration was trained twice": _listed(twice),
        "every baseline was trained": f"{len(lost)} of {len(baselines)} were not" if lost else "",
        "the front's weights are there": _listed(front - there),
        "the front's weights are whole": _listed(broken),
        "no other weights are there": _listed(there - front),
    }


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
    """A new search in a temporary folder, on the storage that was asked for."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_SECONDS", str(options.seconds / EPOCHS))
        made = new_search(Path(folder), patch, STUDY + BASELINES)
        search = replace(made, job=replace(made.job, budget=options.trials))
        chance = random.Random(options.seed)
        if options.storage == "sqlite":
            yield Soak(search, options.workers, None, chance)
            return
        with running() as server:
            search = replace(search, job=replace(search.job, storage=server.new_database()))
            yield Soak(search, options.workers, server, chance)


def checked(soak: Soak, budget: int, in_time: bool) -> dict[str, str]:
    """`audit`, and what only the soak itself has seen."""
    orphans = soak.orphans()
    baselines = {baseline_config(soak.search.spec, baseline).key() for baseline in soak.search.spec.baselines}
    return {
        "a parent ended with the budget spent": "" if in_time else "none did in time",
        "no parent gave up": " | ".join(f"{times} times: {why[:200]}" for why, times in Counter(soak.gave_up).items()),
        "no worker outlived its parent": str(orphans or ""),
        **audit(soak.search.records(), budget, baselines, soak.search.job.run_folder.weights),
    }


def main() -> int:
    options = _options()
    with prepared(options) as soak:
        began = time.monotonic()
        in_time = soak.run(options.kill_every, 120 + 10 * options.trials * options.seconds / options.workers)
        took = time.monotonic() - began
        checks = checked(soak, options.trials, in_time)
    print(
        f"{options.storage}, seed {options.seed}: {took:.0f} s, {soak.starts} parents, killed: {_listed(soak.kills)}\n"
    )
    print("| what must hold | |\n|---|---|")
    for what, wrong in checks.items():
        print(f"| {what} | {'NO: ' + wrong if wrong else 'yes'} |")
    return 1 if any(checks.values()) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=1.0, help="that a trial takes")
    parser.add_argument("--kill-every", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of who is killed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
