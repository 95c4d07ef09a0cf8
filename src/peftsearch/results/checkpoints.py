"""Whether the weights of a front are where they should be."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from peftsearch.results.front import Row
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.storage.liveness.worker_identity import host


def checkpoint_problems(front: Iterable[Row], weights: Path, study: str, *, trust_times: bool = False) -> list[str]:
    """What is wrong with the checkpoints of a front, as `StoredStudy.checkpoint_problems` says.

    Args:
        front: the trials whose checkpoints are looked at.
        weights: the folder that holds one folder for each of them.
        study: the study's name.
        trust_times: as for `checkpoint_problem`.
    """
    lines = []
    for row in front:
        number, trained_here = row.record.number, row.record.worker.get("host") == host()
        problem = checkpoint_problem(weights / str(number), trust_times=trust_times)
        if problem and (trained_here or not problem.startswith("missing")):
            again = f"peftsearch export --study {study} --trial {number} --retrain --out DIR"
            lines.append(f"the checkpoint of trial {number} is {problem}; to train the trial again: {again}")
    return lines
