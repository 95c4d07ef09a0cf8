"""A worker that trains for real, keeps its state after every epoch, and dies: `python -m tests.helpers.dying_worker`.

It kills itself in the epoch after the second one, once: if it can delete the file that `DIE_ONCE` names.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.core.trained import TrainedModel
from peftsearch.search.execute import Train
from peftsearch.study.spec import StudySpec
from peftsearch.workers.job import Job
from peftsearch.workers.search_task import real_trainer, search_task
from peftsearch.workers.worker import main

AFTER = 2


def trainer(spec: StudySpec, job: Job) -> Train:
    """The real one, whose trials die."""
    train = real_trainer(spec, job)

    def dying(
        config: TrialConfig, report: Callable[[EpochReport], None], should_stop: Callable[[], bool]
    ) -> TrainedModel:
        epochs: list[EpochReport] = []

        def count(found: EpochReport) -> None:
            epochs.append(found)
            report(found)

        def stop() -> bool:
            if len(epochs) == AFTER and _may_die():
                os.kill(os.getpid(), signal.SIGKILL)
            return should_stop()

        return train(config, count, stop)

    return dying


def _may_die() -> bool:
    try:
        Path(os.environ["DIE_ONCE"]).unlink()
    except FileNotFoundError:
        return False
    return True


if __name__ == "__main__":
    from peftsearch.training.resume import keeper

    keeper.SHARE = float("inf")
    main(partial(search_task, trainer))
