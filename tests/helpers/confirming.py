"""A searched study in a folder of its own, and `confirm` on it with runs that train nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import pytest

from peftsearch.confirm.progress import ConfirmedRun
from peftsearch.confirm.run import Places, Wanted, confirm
from peftsearch.confirm.worker import TrainAndTest, confirm_task
from peftsearch.data.base import TextData
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.records import Record
from peftsearch.study.spec import StudySpec
from peftsearch.workers.outcome import Outcome
from tests.helpers import fake_tester
from tests.helpers.in_process import InProcess
from tests.helpers.records import complete, config, measurement, store
from tests.helpers.search import new_search
from tests.helpers.toy import toy_data

DATA = toy_data(48, 24)


def finished(number: int, method: str, macro_f1: float, parameters: int) -> Record:
    """A trial that was trained on `DATA` with two threads."""
    found = complete(number, method, macro_f1, parameters, float(parameters))
    conditions = {"data_fingerprint": DATA.fingerprint, "threads": 2, "exact": False, "precision": "bf16"}
    return replace(found, measurement=measurement(macro_f1, parameters, float(parameters), **conditions))


RECORDS = [
    finished(0, "full", 0.9, 1000),
    finished(1, "lora", 0.8, 100),
    finished(2, "tfidf", 0.7, 10),
    finished(3, "lora", 0.6, 2000),
    Record(4, "pruned", config("probe"), reason="trial 0 has 0.9"),
]


@dataclass
class Confirming:
    """A searched study, and what confirming it has said."""

    stored: StoredStudy
    spec: StudySpec
    said: list[str] = field(default_factory=list)
    told: list[ConfirmedRun] = field(default_factory=list)

    def go(
        self,
        trials: Sequence[int | str] = (),
        seeds: int = 3,
        best: int = 8,
        *,
        train: TrainAndTest = fake_tester.train,
        places: Callable[[InProcess], Places] = lambda engine: Places(engine),
        data: TextData = DATA,
    ) -> Outcome:
        """As `confirm` does, with runs that `train` trains in this process."""
        self.said, self.told = [], []
        engine = InProcess(partial(confirm_task, lambda spec, job: train))
        wanted = Wanted(trials, best, seeds)
        return confirm(self.stored, self.spec, data, wanted, places(engine), self.told.append, self.said.append)

    def again(self) -> StoredStudy:
        """The study as another process finds it."""
        return open_stored("toy", self.stored.url)


def confirming(folder: Path, monkeypatch: pytest.MonkeyPatch, records: Sequence[Record] = RECORDS) -> Confirming:
    monkeypatch.chdir(folder)
    spec = new_search(folder, monkeypatch).spec
    (folder / "runs").mkdir()
    return Confirming(open_stored("toy", store(folder / "runs", records)), spec)
