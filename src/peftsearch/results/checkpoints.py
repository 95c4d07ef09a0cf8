"""Whether the weights of a front are where they should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from peftsearch.core.files.run_folder import TENSORS
from peftsearch.core.points import Point, parse_point
from peftsearch.results.front import Row
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint


def weights_of(record: Record, weights: Path) -> Path | None:
    """The folder with the tensors of a point; None if there is none.

    A whole trial has the tensors of its best epoch, so that either folder serves both.

    Args:
        record: the point.
        weights: the folder that holds one folder for each point.
    """
    names = [str(record.point)]
    if record.epoch is None and record.measurement and record.measurement.best_epoch:
        names.append(str(Point(record.number, record.measurement.best_epoch)))
    return next((folder for name in names if ((folder := weights / name) / TENSORS).is_file()), None)


def checkpoint_of(record: Record, weights: Path) -> Checkpoint:
    """The checkpoint of a point, whichever folder holds its tensors.

    Args:
        record: the point.
        weights: the folder that holds one folder for each point.

    Raises:
        UserError: it has none, or it is damaged.
    """
    folder = weights_of(record, weights)
    kept = read_checkpoint(weights, (folder and parse_point(folder.name)) or record.point)
    if kept.point == record.point or record.measurement is None:
        return kept
    return replace(kept, number=record.number, epoch=record.epoch, measurement=record.measurement)


def checkpoint_problems(front: Iterable[Row], weights: Path, study: str, *, trust_times: bool = False) -> list[str]:
    """What is wrong with the checkpoints of a front, as `StoredStudy.checkpoint_problems` says.

    Args:
        front: the points whose checkpoints are looked at.
        weights: the folder that holds one folder for each of them.
        study: the study's name.
        trust_times: as for `checkpoint_problem`.
    """
    lines = []
    for row in front:
        point, trained_here = row.point, row.record.worker.get("host") == host()
        folder = weights_of(row.record, weights) or weights / str(point)
        problem = checkpoint_problem(folder, trust_times=trust_times)
        if problem and (trained_here or not problem.startswith("missing")):
            again = f"peftsearch export --study {study} --trial {point} --retrain --out DIR"
            lines.append(f"the checkpoint of {point.in_words} is {problem}; to train the trial again: {again}")
    return lines
