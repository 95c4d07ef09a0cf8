"""The checkpoints on disk: at any time those of trials that no other one dominates, each in a folder with its number.

The tolerance of the study plays no part here. A trial that it leaves off the front may come back, once a later trial
takes the place of the one that was as good; what is dominated never does. With `--tolerance none` all of them are on
the front, and can be exported.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from peftsearch.core.files.checksums import SUMS, damaged_files, seal
from peftsearch.core.files.disk import writing_to
from peftsearch.core.files.run_folder import TENSORS
from peftsearch.core.front.pareto import dominates, losses_of, non_dominated
from peftsearch.storage.records import Record, records
from peftsearch.training.checkpoint import ABOUT

if TYPE_CHECKING:
    from optuna.study import Study


class Savable(Protocol):
    """A trained model that can write its checkpoint."""

    def save(self, folder: Path) -> None: ...


def save_checkpoint(result: Savable, folder: Path, number: int) -> Path:
    """Save the checkpoint of the trial `number` in `folder`: whole or, if the process is killed meanwhile, not at all.

    Returns:
        The checkpoint's own folder.

    Raises:
        DiskFull: the disk of `folder` is full.
        DiskRefuses: `folder` cannot be written.
    """
    final, partial = folder / str(number), folder / f".{number}-{os.getpid()}"
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".{number}-*"):  # by a worker that was killed: only one at a time holds a trial
            shutil.rmtree(left, ignore_errors=True)
        try:
            result.save(partial)
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
    """Whether no complete trial that keeps all constraints dominates `values`, in the order of `objectives`."""
    losses = losses_of(_values(_candidates(study), objectives), objectives)
    return not dominates(losses, losses_of([values], objectives)[0]).any()


def delete_dominated(study: Study, folder: Path, objectives: Sequence[str]) -> None:
    """Delete the checkpoints of trials that have ended and are dominated, but none of a running trial."""
    if not folder.is_dir():
        return
    ended = {trial.number for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()}
    candidates = _candidates(study)
    front = non_dominated(losses_of(_values(candidates, objectives), objectives))
    dominated = ended - {record.number for record, stays in zip(candidates, front, strict=True) if stays}
    for child in folder.iterdir():
        number = child.name.lstrip(".").partition("-")[0]
        if number.isdigit() and int(number) in dominated:
            shutil.rmtree(child, ignore_errors=True)


def _is_whole(tensors: Path) -> bool:
    """Whether the file is as long as its header says."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(tensors, framework="numpy"):
            return True
    except (OSError, SafetensorError):
        return False


def _candidates(study: Study) -> list[Record]:
    """The complete trials that keep all constraints."""
    return [record for record in records(study) if record.state == "complete" and record.feasible]


def _values(candidates: Sequence[Record], objectives: Sequence[str]) -> list[list[float]]:
    return [[record.values[name] for name in objectives] for record in candidates]
