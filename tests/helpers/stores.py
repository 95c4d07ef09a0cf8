"""A study whose weights are kept in a place for all machines, and machines that are folders."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from optuna.artifacts import upload_artifact
from optuna.study import Study

from peftsearch.core.config import TrialConfig
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.core.predictions import Predictions
from peftsearch.core.trained import TrainedModel
from peftsearch.search import execute
from peftsearch.storage.artifacts.listed import MIMETYPE, artifacts_of
from peftsearch.storage.artifacts.place import Store, open_place
from peftsearch.storage.artifacts.settle import settle
from peftsearch.storage.artifacts.shelf import Shelf
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import Record, records
from tests.helpers.records import measurement

OBJECTIVES = ("macro_f1", "train_seconds")


@dataclass(frozen=True)
class Model:
    """A classifier of one tensor, whose value tells what was trained."""

    config: TrialConfig
    measurement: Measurement
    value: float

    @property
    def predictions(self) -> Predictions:
        return Predictions(np.full((4, 2), self.value, dtype=np.float32), np.zeros(4, dtype=np.int64))

    def save(self, folder: Path) -> None:
        import torch

        from peftsearch.training.checkpoint import save_tensors

        tensors = {"head.weight": torch.full((100,), self.value)}
        save_tensors(tensors, self.config, self.measurement, ["no", "yes"], folder)


@dataclass(frozen=True)
class Machine:
    """A working folder that has its own runs, with the storage and the place that it shares with others."""

    study: Study
    folder: RunFolder
    shelf: Shelf | None

    def train(self, *scores: float, seconds: float = 1.0, ending: Callable[[], None] = lambda: None) -> Record:
        """Train a trial with an epoch for each of these scores; the best is the first of the best.

        Args:
            ending: called after the last epoch.
        """
        trial = self.study.ask()
        config = TrialConfig("b", "lora", {"learning_rate": 1e-4 * (trial.number + 1)})
        trial.set_user_attr("config", config.to_dict())

        def train(_: TrialConfig, report: Callable[[EpochReport], None], __: Any) -> TrainedModel:
            curve: list[EpochReport] = []
            for epoch, score in enumerate(scores, 1):
                curve.append(EpochReport(epoch, 1.0, 1.0, {"macro_f1": score}, seconds, 0.1, 100))
                best = replace(measured(curve), best_epoch=epoch)
                report(replace(curve[-1], trained=Model(config, best.after(epoch, curve), score)))
            ending()
            return Model(config, measured(curve), max(scores))

        execute.run(self.study, trial, config, train, "none", self.folder, lambda: False, self.shelf)
        return next(record for record in records(self.study) if record.number == trial.number)


def measured(curve: list[EpochReport]) -> Measurement:
    best = max(curve, key=lambda one: one.metrics["macro_f1"])
    spent = sum(one.train_seconds for one in curve)
    return measurement(best.metrics["macro_f1"], 100, spent, best_epoch=best.epoch, epochs=len(curve))


def machine(root: Path, url: str, place: Path | str | None, name: str = "a") -> Machine:
    """A machine whose runs lie in a folder `name` under `root`."""
    study = open_study(open_storage(url), "toy", OBJECTIVES)
    folder = RunFolder(root / name / "runs" / "toy")
    found = settle(study, str(place) if place else None)
    return Machine(study, folder, Shelf(study, folder, open_place(found)) if found else None)


def in_store(study: Study) -> list[str]:
    """The points whose checkpoints the store has, as the storage says."""
    return sorted(str(artifact.point) for artifact in artifacts_of(study) if artifact.whole)


def begun_late(here: Machine, point: str) -> str:
    """An artifact that a process has begun to upload after the end of its trial; returns its id."""
    assert here.shelf is not None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{point}.tar"
        file.write_bytes(b"")
        uploaded = upload_artifact(
            artifact_store=here.shelf.store, file_path=str(file), study_or_trial=here.study, mimetype=MIMETYPE
        )
    here.shelf.store.remove(uploaded)
    return uploaded


class Broken:
    """A store that can be away, and counts what it is asked for."""

    def __init__(self, store: Store) -> None:
        self.away = False
        self.writes = 0
        self._inner = store._inner
        store._inner = self

    def open_reader(self, artifact_id: str) -> BinaryIO:
        self._answer()
        return self._inner.open_reader(artifact_id)

    def write(self, artifact_id: str, content_body: BinaryIO) -> None:
        self.writes += 1
        self._answer()
        self._inner.write(artifact_id, content_body)

    def remove(self, artifact_id: str) -> None:
        self._answer()
        self._inner.remove(artifact_id)

    def _answer(self) -> None:
        if self.away:
            raise ConnectionError("no route to the bucket")
