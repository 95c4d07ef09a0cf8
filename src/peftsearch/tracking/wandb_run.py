"""A trial as a run of Weights & Biases, with its own login: `wandb login`, WANDB_API_KEY, or WANDB_MODE=offline."""

from __future__ import annotations

import os
from collections.abc import Mapping

from peftsearch.tracking.contract import Beginning


class WandbRun:
    """The runs of a study are a project of its name, or of the name in WANDB_PROJECT."""

    def __init__(self, beginning: Beginning) -> None:
        import wandb

        beginning.folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", beginning.study),
            group=beginning.study,
            name=beginning.name,
            config=dict(beginning.settings),
            dir=beginning.folder,
            reinit="create_new",
        )

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._run.log({"epoch": epoch, **values})

    def end(self, state: str, values: Mapping[str, float]) -> None:
        self._run.summary.update({"state": state, **values})
        self._run.finish(exit_code=0 if state in ("complete", "pruned") else 1)
