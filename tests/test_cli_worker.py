"""Workers that nobody supervises, as a scheduler starts them: real processes whose trainer trains nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from peftsearch.cli import main
from peftsearch.optimize.begin import begin
from peftsearch.results.open import open_results
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.claims import claim
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.study.spec import load_study
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.supervisor import Supervisor
from tests.helpers.folders import fill_toy_folder
from tests.helpers.records import config
from tests.helpers.search import until

ROOT = Path(__file__).parents[1]
TRIALS = 14
STUDY = """\
name: toy
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 2, batch_size: 16}
search: {portfolio: false}
methods:
  full: {learning_rate: {log: [1.0e-5, 1.0e-3]}}
  lora: {learning_rate: {log: [1.0e-3, 1.0e-1]}}
  probe: {learning_rate: {log: [1.0e-3, 1.0e-1]}}
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a study file, its data and a tiny random model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    fill_toy_folder(tmp_path, STUDY)
    return tmp_path


@dataclass
class Workers:
    """Starts `peftsearch worker` again and again, and ends what is left of it."""

    stack: ExitStack

    def start(self, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.helpers.worker_command", "worker", "--study", "toy.yaml", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.stack.callback(process.kill)
        return process


@pytest.fixture
def workers() -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(stack)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, work: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{work}/trials.db"
    new_database: Callable[[], str] = request.getfixturevalue("postgres_url")
    return new_database()


def stored(url: str) -> StoredStudy:
    return open_results("toy.yaml", storage=url)


def running(url: str) -> dict[int, int]:
    """Process id of each command whose worker holds a trial → the worker's."""
    workers = [record.worker for record in stored(url).records() if record.state == "running" and record.worker]
    return {worker["parent"]["pid"]: worker["pid"] for worker in workers}


def begun(url: str, processes: int) -> bool:
    from peftsearch.core.errors import UserError

    try:
        return len(running(url)) == processes
    except UserError:
        return False


def test_workers_end_with_exactly_the_total_though_two_of_them_end_before(
    work: Path, workers: Workers, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All begin at the same moment; later one gets SIGTERM, and one is killed as a container is, with its child."""
    # A trial that waits at the gate makes no step, so its timeout is longer than all workers take to begin.
    monkeypatch.setenv("FAKE_GATE", str(work / "gate"))
    options = ("--storage", url, "--trials", str(TRIALS), "--until-done", "--trial-timeout", "30", "--pruner", "none")
    all_of_them = [workers.start(*options) for _ in range(3 if url.startswith("sqlite") else 4)]
    until(lambda: begun(url, len(all_of_them)), seconds=120.0)
    assert set(running(url)) == {process.pid for process in all_of_them}
    asked, killed, *others = all_of_them
    for pid in (killed.pid, running(url)[killed.pid]):
        os.kill(pid, signal.SIGKILL)
    asked.send_signal(signal.SIGTERM)
    said = asked.communicate(timeout=30)[1]
    assert asked.returncode == 143
    assert said.splitlines()[-1] == f"stopped by SIGTERM: 0 of {TRIALS} trials are done; the same command continues"
    (work / "gate").touch()
    lines = [line for process in others for line in process.communicate(timeout=120)[0].splitlines()]
    assert {process.returncode for process in others} == {0}
    found = stored(url).records()
    assert Counter(record.state for record in found) == {"complete": TRIALS, "failed": 1}
    assert [record.failure["kind"] for record in found if record.failure] == ["interrupted"]
    keys = [record.config.key() for record in found if record.config and record.state == "complete"]
    assert len(set(keys)) == TRIALS
    assert sum(record.starting_point for record in found if record.state == "complete") == 3
    told = sorted(int(re.findall(r"^\[\d+/14\] trial (\d+) complete: ", line)[0]) for line in lines)
    assert told == [record.number for record in found if record.state == "complete"]


def test_what_a_worker_may_be_refused(work: Path) -> None:
    def refused() -> str:
        shown = CliRunner().invoke(main, ["worker", "--study", "toy.yaml"])
        assert shown.exit_code == 2
        return shown.output

    assert refused() == (
        "Error: how many trials 'toy' shall have is not known, since no search of it with a total has begun; give a"
        " worker trials=20 (--trials 20), or another end\n"
    )
    begin(load_study("toy.yaml"), trials=1, storage=None, fork=None, say=lambda _: None)
    (work / "toy.yaml").write_text(STUDY.replace("epochs: 2", "epochs: 3"))
    assert refused() == (
        "Error: the trials of 'toy' in the storage were trained with other settings (training.epochs: 3 here, 2 there);"
        " undo the change, or keep both with --fork NEW_NAME\n"
    )


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (Outcome("done"), 0, "no trial is left to claim: 0 of 9 trials are done; other workers train the rest"),
        (
            Outcome("interrupted", "SIGTERM"),
            143,
            "stopped by SIGTERM: 0 of 9 trials are done; the same command continues",
        ),
        (
            Outcome("errors", "3 trials in a row failed alike: ValueError: no"),
            1,
            "Error: the search gave up: 3 trials in a row failed alike: ValueError: no; 0 of 9 trials are done; the"
            " same command continues",
        ),
    ],
    ids=lambda value: value.how if isinstance(value, Outcome) else "",
)
def test_a_scheduler_is_told_how_it_ended(
    work: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int, said: str
) -> None:
    monkeypatch.setattr("peftsearch.optimize.join.run_workers", lambda *_, **__: outcome)
    shown = CliRunner().invoke(main, ["worker", "--study", "toy.yaml", "--trials", "9"])
    assert (shown.exit_code, shown.stderr.splitlines()[-1]) == (code, said)


def test_a_worker_process_that_dies_is_replaced(work: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody but the command watches over it; its trial is tried once more."""
    token = work / "token"
    token.touch()
    monkeypatch.setenv("FAKE_KILL_ONCE", str(token))
    dying = workers.start("--trials", "3")
    assert dying.wait(60) == 0
    found = open_results("toy.yaml").records()
    assert Counter(record.state for record in found) == {"complete": 3, "failed": 1}
    assert [record.failure["kind"] for record in found if record.failure] == ["killed"]
    assert len({record.worker["pid"] for record in found}) == 2
    assert {(record.worker["parent"]["pid"], record.worker["host"]) for record in found} == {(dying.pid, host())}
    assert not psutil.pid_exists(dying.pid) or psutil.Process(dying.pid).status() == psutil.STATUS_ZOMBIE


def test_a_search_whose_workers_run_elsewhere_can_be_watched(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher begins it, and needs no data once it has begun; a request to end ends the watching only."""
    looks: list[int] = []

    def train_elsewhere(supervisor: Supervisor, seconds: float) -> None:
        """In place of the wait for the next look, but for the last one, after which there is none."""
        if not seconds:
            return
        looks.append(len(supervisor.workers))
        claimed = claim(supervisor.study, 2, {"pid": 7, "host": "beta", "started": 0.0})
        if claimed is None:
            return
        claimed.set_user_attr("config", config("probe", learning_rate=len(looks) / 100).to_dict())
        supervisor.study.tell(claimed, [0.9, 10, 1.0])
        if len(looks) == 1:
            supervisor.on_request_to_end(signal.SIGINT)

    def watch() -> Result:
        return CliRunner().invoke(main, ["optimize", "--study", "toy.yaml", "--trials", "2", "--workers", "0"])

    monkeypatch.setattr(Supervisor, "wait", train_elsewhere)
    ended = watch()
    assert ended.exit_code == 130, ended.output
    assert ended.stderr.splitlines()[-1] == (
        "stopped by Ctrl-C: 1 of 2 trials are done; the workers go on, and the same command watches them again"
    )
    (work / "rows.jsonl").unlink()
    done = watch()
    assert done.exit_code == 0, done.output
    assert done.stderr == (
        "no worker is started here; peftsearch worker starts one, on any machine that reaches the storage\n"
    )
    assert "2/2 trial 1 complete: probe" in done.stdout
    assert looks == [0, 0]
    assert watch().stderr == "2 of 2 trials are already done\n"
