"""A study over a folder of its own, and searches in it with a trainer that trains nothing."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from optuna.study import Study

from peftsearch.search.execute import Train
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.prepare import prepare
from peftsearch.storage.records import Record, records
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.local import LocalEngine
from peftsearch.workers.outcome import Outcome
from peftsearch.workers.search_task import SearchTask
from peftsearch.workers.supervisor import run_workers
from peftsearch.workers.worker import work

FAKE_WORKER = "tests.helpers.fake_worker"

STUDY = """\
name: toy
data: {source: rows.csv, text: text, label: label}
backbones: [tiny]
training: {epochs: 3}
search: {portfolio: false}
methods:
  full:  {learning_rate: {log: [1.0e-5, 1.0e-3]}}
  lora:  {learning_rate: {log: [1.0e-4, 1.0e-2]}}
  probe: {learning_rate: {log: [1.0e-3, 1.0e-1]}}
baselines:
  - {method: full, learning_rate: 2e-5}
"""


TEXTS = "{tfidf: {longest_term: [1, 2, 3]}, full: {learning_rate: {log: [1.0e-5, 1.0e-3]}}}"
"""Methods of which one needs no GPU, for `Search.with_methods`."""


@dataclass(frozen=True)
class Search:
    """What a command would hold: a study file, a storage, a folder."""

    spec: StudySpec
    job: Job

    def with_methods(self, methods: str) -> Search:
        """The same search over another `methods:` section."""
        before, _, after = STUDY.partition("methods:")
        Path(self.job.path).write_text(f"{before}methods: {methods}\n{after[after.index('baselines:') :]}")
        spec = load_study(self.job.path)
        return Search(spec, replace(self.job, document=spec.document))

    def prepare(self) -> Study:
        return prepare(self.spec, self.job.storage, patience=self.job.storage_patience)

    def run(
        self,
        workers: int = 1,
        module: str = FAKE_WORKER,
        on_tick: Callable[[list[Record]], None] = lambda _: None,
        **settings: object,
    ) -> Outcome:
        """As `optimize` would, with `settings` on the job."""
        job = replace(self.job, since=time.time(), **settings)  # type: ignore[arg-type]
        return run_workers(self.prepare(), job, LocalEngine(workers, module=module), on_tick=on_tick)

    def records(self) -> list[Record]:
        return records(open_study(open_storage(self.job.storage), self.job.name, self.spec.objectives))


@pytest.fixture
def search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    return new_search(tmp_path, monkeypatch)


def new_search(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str = STUDY) -> Search:
    """A study file of this text in `folder`, and a job over it; its storage and its run folder are in there too."""
    root = Path(__file__).parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root), prepend=os.pathsep)  # worker processes find the tests' worker there
    file = folder / "toy.yaml"
    file.write_text(text)
    spec = load_study(str(file))
    job = Job(
        document=spec.document,
        path=str(file),
        name="toy",
        storage=f"sqlite:///{folder}/runs/toy.db",
        budget=6,
        folder=str(folder / "runs" / "toy"),
        sampler=spec.search.sampler,
        pruner="none",
        seed=0,
        startup_trials=spec.search.startup_trials,
        since=0.0,
    )
    return Search(spec, job)


def in_study(study: Study, search: Search, train: Train, stop: threading.Event | None = None) -> WorkerReport:
    """Work in this process as a worker of `search` whose trials `train` trains."""
    task = SearchTask(study, search.spec, search.job, train)
    return work(study, task, search.job, stop or threading.Event())


def until(condition: Callable[[], bool], seconds: float = 300.0) -> None:
    """Wait for what another process brings about. The seconds only end a test that waits for what does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)
