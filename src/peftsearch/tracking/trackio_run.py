"""A trial as a run of Trackio, which keeps its runs in files and shows them with `trackio show`."""

from __future__ import annotations

import os
from collections.abc import Mapping

from peftsearch.tracking.contract import Beginning


class TrackioRun:
    """The runs of a study are a project of its name, in TRACKIO_DIR or in the study's folder."""

    def __init__(self, beginning: Beginning) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(beginning.folder.resolve()))  # trackio reads it when it is imported
        import trackio

        self._run = trackio.init(project=beginning.study, name=beginning.name, config=dict(beginning.settings))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=epoch)

    def end(self, state: str, values: Mapping[str, float]) -> None:
        self._run.log({"state": state, **{f"best/{name}": value for name, value in values.items()}})
        self._run.finish()
