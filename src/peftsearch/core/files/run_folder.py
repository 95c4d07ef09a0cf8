"""Where a study's files lie under the working directory. No other module spells these names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from peftsearch.core.calls.precedence import RUNS_VARIABLE, of_environment
from peftsearch.core.packages import expanded
from peftsearch.core.points import Point

RUNS = Path("runs")
"""The folder of all studies, under the working directory, unless the environment names another one."""

STUDY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""A study's name: letters, digits, - and _, because it names files. To be matched as a whole."""

TENSORS = "trainable.safetensors"
"""What a trial trained, inside the trial's folder of weights. A trial without this file has no checkpoint."""


PREDICTIONS = "predictions.npz"
"""What an epoch said about the validation rows, inside its folder of weights."""


def runs_folder() -> Path:
    """The folder of all studies: that of `PEFTSEARCH_RUNS`, or else `runs` under the working directory."""
    return expanded(of_environment(None, RUNS_VARIABLE) or str(RUNS))


def stored_names() -> list[str]:
    """The names of the studies whose SQLite files lie in the folder of all studies, sorted."""
    return sorted(file.stem for file in runs_folder().glob("*.db"))


@dataclass(frozen=True)
class RunFolder:
    """The files of one study.

    Attributes:
        root: the study's folder, `runs/NAME`; its last part is the study's name.
    """

    root: Path

    @classmethod
    def of(cls, name: str) -> Self:
        """The files of the study `name`."""
        return cls(runs_folder() / name)

    def make_parent(self) -> None:
        """Make the folder of all studies if it is not there, with a `.gitignore` that keeps all of it out of git.

        A folder that is there already gets none: what else lies in it may well belong into git.

        Raises:
            OSError: the disk refuses.
        """
        parent = self.root.parent
        if not parent.exists():
            parent.mkdir(parents=True, exist_ok=True)
            (parent / ".gitignore").write_text("*\n", encoding="utf-8")

    @property
    def database(self) -> Path:
        """The SQLite file that holds the trials unless another storage is named. It lies beside the folder."""
        return self.root.parent / f"{self.root.name}.db"

    @property
    def study_file(self) -> Path:
        """The study file, where `optimize` has made the study from a file of texts."""
        return self.root / "study.yaml"

    @property
    def weights(self) -> Path:
        """The checkpoints of the points on the front, a folder for each: `7`, or `7@3` for an epoch."""
        return self.root / "weights"

    @property
    def paused(self) -> Path:
        """The states of trials that have begun and not ended, from which they can go on."""
        return self.root / "paused"

    def paused_state(self, key: str) -> Path:
        """The state of the trial whose configuration has this key.

        It goes by the configuration because the same one has another number when it is tried again.
        """
        return self.paused / f"{key}.safetensors"

    def predictions(self, point: Point | int) -> Path:
        """What the trial's best epoch said about the validation rows, or the epoch that the point names."""
        if isinstance(point, Point) and point.epoch is not None:
            return self.weights / str(point) / PREDICTIONS
        return self.root / "predictions" / f"{point}.npz"

    def seed_predictions(self, point: Point, seed: int, split: str) -> Path:
        """What the configuration of a point, trained with another seed, said about the rows of a split.

        Args:
            point: a whole trial or an epoch of one; a negative trial stands for the reference.
            seed: the other seed.
            split: `validation` or `test`.
        """
        name = str(point) if point.trial >= 0 else "reference"
        return self.root / "predictions" / f"{name}-seed-{seed}-{split}.npz"

    @property
    def artifacts(self) -> Path:
        """The files that a person has given to trials on the dashboard."""
        return self.root / "artifacts"

    @property
    def tracking(self) -> Path:
        """What trackers keep here, a folder for each."""
        return self.root / "tracking"

    @property
    def data(self) -> Path:
        """The prepared splits of a source whose content cannot be told without fetching it, as behind a URL.

        Others lie in the cache that all studies share (`cache_folder`). Earlier versions kept all of them here.
        """
        return self.root / "data"

    def worker_log(self, name: int | str) -> Path:
        """What a worker, and the libraries it uses, print.

        Args:
            name: the worker's place in its search or, where none started it, its machine and process.
        """
        return self.root / f"worker-{name}.log"
