"""A trial as a run of MLflow, on the server of MLFLOW_TRACKING_URI or in a database in the study's folder."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from peftsearch.tracking.contract import Beginning

STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
"""State of a trial → MLflow's status of a run; any other trial was KILLED."""


class MlflowRun:
    """The runs of a study are an experiment of its name. Nothing is global, so the program's own runs stay its own."""

    def __init__(self, beginning: Beginning) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        beginning.folder.mkdir(parents=True, exist_ok=True)
        here = f"sqlite:///{(beginning.folder / 'mlflow.db').resolve()}"
        self._client = MlflowClient(tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", here))
        run = self._client.create_run(self._experiment(beginning), run_name=beginning.name)
        self._id = run.info.run_id
        settings = [Param(name, str(value)) for name, value in beginning.settings.items()]
        self._client.log_batch(self._id, params=settings)

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        self._log(values, epoch)

    def end(self, state: str, values: Mapping[str, float]) -> None:
        self._client.set_tag(self._id, "state", state)
        self._log({f"best.{name}": value for name, value in values.items()}, 0)
        self._client.set_terminated(self._id, STATUS.get(state, "KILLED"))

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(name, value, now, step) for name, value in values.items()])

    def _experiment(self, beginning: Beginning) -> Any:
        """The experiment's id; another worker may create it at the same time."""
        from mlflow.exceptions import MlflowException

        found = self._client.get_experiment_by_name(beginning.study)
        if found is None:
            try:
                return self._client.create_experiment(beginning.study)
            except MlflowException:
                found = self._client.get_experiment_by_name(beginning.study)
                if found is None:
                    raise
        return found.experiment_id
