"""Whether the weights of a front are where they should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.files.run_folder import PREDICTIONS, TENSORS, RunFolder
from peftsearch.core.points import parse_point
from peftsearch.results.front import Row
from peftsearch.storage.artifacts.fetch import artifact_of, fetch_predictions, fetch_weights
from peftsearch.storage.artifacts.listed import artifacts_of
from peftsearch.storage.artifacts.settle import place_of
from peftsearch.storage.artifacts.shelf import names_of
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.storage.kept.predictions import read_predictions
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.core.predictions import Predictions


def fetched(study: Study, record: Record, weights: Path, say: Callable[[str], None] = lambda _: None) -> Path | None:
    """The folder with the tensors of a point, brought here if they are kept elsewhere; None if they were not kept.

    They are brought again if those that are here are damaged.

    Args:
        study: the study of the point.
        record: the point.
        weights: the folder that holds one folder for each point.
        say: called with one line before they are brought, which may take minutes.

    Raises:
        UserError: the place where they are kept cannot be read, or does not hold what was put there.
    """
    here = weights_of(record, weights)
    place = None if here and checkpoint_problem(here) is None else place_of(study)
    brought = fetch_weights(study, record, place, weights, say) if place is not None else None
    return brought or here


def where_weights_are(study: Study, record: Record, weights: Path) -> str | None:
    """Where the weights of a point are, in words: their folder, or the place for all machines; None if nowhere."""
    here = weights_of(record, weights)
    place = None if here else place_of(study)
    if place is None or artifact_of(study, record) is None:
        return str(here) if here else None
    return f"in {place}, from where export brings them"


def predictions_of(study: Study, record: Record, folder: RunFolder) -> Predictions | None:
    """What a point said about the validation rows; None if it was not kept.

    Raises:
        UserError: a file is damaged, or the place where it is kept cannot be read.
    """
    here, brought = weights_of(record, folder.weights), folder.root / "predictions" / f"{record.point}.npz"
    files = [folder.predictions(record.point), *([here / PREDICTIONS] if here else []), brought]
    found = next((found for file in files if (found := read_predictions(file)) is not None), None)
    place = place_of(study) if found is None else None
    if place is not None and fetch_predictions(study, record, place, brought):
        return read_predictions(brought)
    return found


def weights_of(record: Record, weights: Path) -> Path | None:
    """The folder with the tensors of a point; None if there is none.

    A whole trial has the tensors of its best epoch, so that either folder serves both.

    Args:
        record: the point.
        weights: the folder that holds one folder for each point.
    """
    folders = (weights / str(name) for name in names_of(record))
    return next((folder for folder in folders if (folder / TENSORS).is_file()), None)


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


def checkpoint_problems(study: Study, front: Iterable[Row], weights: Path, *, trust_times: bool = False) -> list[str]:
    """What is wrong with the checkpoints of a front, as `StoredStudy.checkpoint_problems` says.

    Args:
        study: the study of the front.
        front: the points whose checkpoints are looked at.
        weights: the folder that holds one folder for each of them.
        trust_times: as for `checkpoint_problem`.
    """
    place = place_of(study)
    there = {artifact.point for artifact in artifacts_of(study) if artifact.whole} if place else set()
    lines = []
    for row in front:
        host_of_it, words = row.record.worker.get("host"), row.point.in_words
        folder = weights_of(row.record, weights) or weights / str(row.point)
        problem = checkpoint_problem(folder, trust_times=trust_times)
        missing, reached = (problem or "").startswith("missing"), not there.isdisjoint(names_of(row.record))
        if place and not reached and (problem is None or host_of_it != host()):
            where, here = ("yet", "on this machine") if problem is None else (f"from {host_of_it}", "there")
            lines.append(f"the weights of {words} have not reached {place} {where}; the same search {here} brings them")
        elif problem and not (missing and (reached or host_of_it != host())):
            again = f"peftsearch export --study {study.study_name} --trial {row.point} --retrain --out DIR"
            lines.append(f"the checkpoint of {words} is {problem}; to train the trial again: {again}")
    return lines
