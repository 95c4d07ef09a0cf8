"""A trial as a folder of event files, for `tensorboard --logdir runs/NAME/tracking/tensorboard`."""

from __future__ import annotations

import json
from collections.abc import Mapping

from peftsearch.tracking.contract import Beginning

ALLOWED = (bool, int, float, str)
"""What TensorBoard takes as a hyperparameter."""


class TensorboardRun:
    """Curves as scalars, settings and objectives as TensorBoard's hyperparameters."""

    def __init__(self, beginning: Beginning) -> None:
        from torch.utils.tensorboard import SummaryWriter

        settings = beginning.settings.items()
        self._settings = {n: value if isinstance(value, ALLOWED) else json.dumps(value) for n, value in settings}
        self._writer = SummaryWriter(str(beginning.folder / beginning.name))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def end(self, state: str, values: Mapping[str, float]) -> None:
        found = {f"best/{name}": value for name, value in values.items()}
        self._writer.add_hparams({**self._settings, "state": state}, found, run_name=".")
        self._writer.close()
