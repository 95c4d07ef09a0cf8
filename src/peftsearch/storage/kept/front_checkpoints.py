"""The checkpoints on disk: at any time those of points that no other one dominates, each in a folder with its name.

A point is a whole trial, `7`, or where each epoch counts also a trial after one of its epochs, `7@3`. The weights of a
whole trial are those of its best epoch. So it is kept as long as that one is, and both share one file of tensors. Whole
trials that no other whole trial dominates are kept too: a study may have been searched by an earlier version, which has
kept no epoch, and a person may want to look at whole trials only.

The tolerance of the study plays no part here. A point that it leaves off the front may come back, once a later trial
takes the place of the one that was as good; what is dominated never does. With `--tolerance none` all of them are on
the front, and can be exported.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.files.checksums import SUMS, checksum, damaged_files, seal
from peftsearch.core.files.disk import writing_to
from peftsearch.core.files.run_folder import PREDICTIONS, TENSORS, RunFolder
from peftsearch.core.front.pareto import dominates, losses_of
from peftsearch.core.points import Point, parse_point
from peftsearch.core.trained import Savable, TrainedModel
from peftsearch.storage.budget import counts
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.kept.known_front import known_front, on_a_front
from peftsearch.storage.kept.predictions import write_predictions
from peftsearch.storage.optuna_access import ended_trials, open_trials
from peftsearch.storage.points import epochs_of
from peftsearch.storage.records import Record
from peftsearch.storage.trial_attributes import continues
from peftsearch.training.checkpoint import ABOUT

if TYPE_CHECKING:
    from optuna.study import Study


def save_checkpoint(result: Savable, folder: Path, point: Point, twin: Point | None = None) -> Path:
    """Save the checkpoint of `point` in `folder`: whole or, if the process is killed meanwhile, not at all.

    Args:
        twin: another point of the trial, which has the same weights if they are kept.

    Returns:
        The checkpoint's own folder.

    Raises:
        DiskFull: the disk of `folder` is full.
        DiskRefuses: `folder` cannot be written.
    """
    final, partial = folder / str(point), folder / f".{point}-{os.getpid()}"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{point}-*"):  # by a worker that was killed: only one at a time holds a trial
            shutil.rmtree(left, ignore_errors=True)
        try:
            result.save(partial)
            if twin is not None:
                _share(partial / TENSORS, folder / str(twin) / TENSORS)
            seal(partial)
            shutil.rmtree(final, ignore_errors=True)
            partial.replace(final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return final


def checkpoint_problem(checkpoint: Path, *, trust_times: bool = False) -> str | None:
    """What is wrong with a checkpoint, as a predicate: `missing (FOLDER)` or `damaged (FILE)`; None if it is whole.

    Args:
        checkpoint: the checkpoint's own folder.
        trust_times: whether a file whose size and time are as they were is taken for unchanged without reading it.
    """
    if not (checkpoint / TENSORS).is_file():
        return f"missing ({checkpoint})"
    if (checkpoint / SUMS).is_file():
        damaged = next(damaged_files(checkpoint, trust_times=trust_times), None)
    elif not (checkpoint / ABOUT).is_file():
        damaged = ABOUT
    else:  # written by an earlier version, or its checksums are lost
        damaged = None if _is_whole(checkpoint / TENSORS) else TENSORS
    return damaged and f"damaged ({checkpoint / damaged})"


def reaches_front(study: Study, values: Sequence[float], objectives: Sequence[str]) -> bool:
    """Whether no whole trial that keeps all constraints dominates `values`, in the order of `objectives`."""
    whole = [point for point in known_front(study, objectives) if point.epoch is None]
    losses = losses_of(_values(whole, objectives), objectives)
    return not dominates(losses, losses_of([values], objectives)[0]).any()


def keep_epoch(
    study: Study, running: Record, trained: TrainedModel, folder: RunFolder, objectives: Sequence[str]
) -> None:
    """Save what the last epoch of a running trial left, unless a known point dominates it.

    The points of ended trials are known, and those of the trial's earlier epochs.

    Args:
        running: the trial, with its curve and what it has measured so far.
        trained: the model as it is now. Its predictions are kept beside its weights.

    Raises:
        DiskFull: the disk of `folder` is full.
        DiskRefuses: `folder` cannot be written.
    """
    now = len(running.curve)
    delete_epochs(folder.weights, running.number, now)
    own = [epoch for epoch in epochs_of(running, objectives) if epoch.feasible]
    if not own or own[-1].epoch != now:
        return
    losses = losses_of(_values([*known_front(study, objectives), *own], objectives), objectives)
    if not dominates(losses[:-1], losses[-1]).any():
        save_checkpoint(WithPredictions(trained), folder.weights, own[-1].point)


@dataclass(frozen=True)
class WithPredictions:
    """A model, saved together with what it said about the validation rows."""

    trained: TrainedModel

    def save(self, folder: Path) -> None:
        self.trained.save(folder)
        if self.trained.predictions is not None:
            write_predictions(folder / PREDICTIONS, self.trained.predictions)


@one_look()
def delete_dominated(study: Study, folder: Path, objectives: Sequence[str]) -> None:
    """Delete the checkpoints in `folder` of trials that have ended and are dominated.

    Those of a trial that has not ended stay, and those of a failed one from whose last epoch another one goes on.
    """
    failed = {trial.number: not counts(trial) for trial in ended_trials(study)}
    stays = kept_points(known_front(study, objectives), objectives)
    gone = {point for _, point in _found(folder) if point.trial in failed and point not in stays}
    if any(failed[point.trial] for point in gone):  # else no trial that runs is read, of which there may be hundreds
        continued = {number for trial in open_trials(study) for number in continues(trial)}
        gone = {point for point in gone if point.trial not in continued}
    _delete(folder, gone.__contains__)


def kept_points(points: Sequence[Record], objectives: Sequence[str]) -> set[Point]:
    """Those of ended trials' points whose checkpoints are kept, if they were saved; no point breaks a constraint."""
    stays = on_a_front(points, objectives)
    return stays | {point.point for point in points if point.epoch is None and _best_epoch_of(point) in stays}


def delete_epochs(folder: Path, trial: int, since: int = 1) -> None:
    """Delete what an attempt that ended has kept of a trial's epochs, from the epoch `since` on."""
    _delete(folder, lambda point: point.trial == trial and point.epoch is not None and point.epoch >= since)


def take_over(folder: Path, failed: Sequence[int], trial: int) -> None:
    """Give `trial` what failed trials, first to last, have kept of the epochs from which it goes on."""
    for number in reversed(failed):
        for kept in list(folder.glob(f"{number}@*")):
            own = folder / kept.name.replace(str(number), str(trial), 1)
            if not own.exists():  # a worker that was wrongly taken for dead may have saved an epoch once more
                kept.replace(own)


def _best_epoch_of(record: Record) -> Point | None:
    """The point of a complete trial's best epoch, with whose weights it ends."""
    return Point(record.number, record.measurement.best_epoch) if record.measurement else None


def _delete(folder: Path, gone: Callable[[Point], bool]) -> None:
    """Delete the checkpoints of the points that are gone, and what was left of saving them."""
    for child, point in _found(folder):
        if gone(point):
            shutil.rmtree(child, ignore_errors=True)


def _found(folder: Path) -> list[tuple[Path, Point]]:
    """The checkpoints in `folder`, and what was left of saving some, each with its point."""
    children = list(folder.iterdir()) if folder.is_dir() else []
    points = [(child, parse_point(child.name.lstrip(".").partition("-")[0])) for child in children]
    return [(child, point) for child, point in points if point is not None]


def _share(tensors: Path, twin: Path) -> None:
    """Let `tensors` be the same file as `twin` if both hold the same, where the disk allows that."""
    if twin.is_file() and twin.stat().st_size == tensors.stat().st_size and checksum(twin) == checksum(tensors):
        linked = tensors.with_name(f"{tensors.name}.twin")
        try:
            linked.hardlink_to(twin)
        except OSError:
            return  # some file systems have no links; then there are two files
        linked.replace(tensors)


def _is_whole(tensors: Path) -> bool:
    """Whether the file is as long as its header says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(tensors, framework="numpy"):
            return True
    except (OSError, SafetensorError):
        return False


def _values(candidates: Sequence[Record], objectives: Sequence[str]) -> list[list[float]]:
    return [[record.values[name] for name in objectives] for record in candidates]
