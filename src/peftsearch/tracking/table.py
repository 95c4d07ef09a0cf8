"""The trackers that a study may name. The name is also that of the extra that installs what the tracker needs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from peftsearch.core.errors import UserError
from peftsearch.tracking.contract import Tracker
from peftsearch.tracking.mlflow_run import MlflowRun
from peftsearch.tracking.tensorboard_run import TensorboardRun
from peftsearch.tracking.trackio_run import TrackioRun
from peftsearch.tracking.wandb_run import WandbRun

TRACKERS: dict[str, Tracker] = {
    "mlflow": Tracker("mlflow", MlflowRun),
    "tensorboard": Tracker("tensorboard", TensorboardRun),
    "trackio": Tracker("trackio", TrackioRun),
    "wandb": Tracker("wandb", WandbRun),
}


def check_installed(names: Sequence[str]) -> None:
    """Check that the packages of these trackers are installed, without importing them.

    Raises:
        UserError: one is not.
    """
    for name in names:
        if importlib.util.find_spec(TRACKERS[name].package) is None:
            raise UserError(
                f"tracking: {name} is not installed; pip install 'peftsearch[{name}]', or take it out of tracking"
            )
