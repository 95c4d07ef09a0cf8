"""Processes that claim trials as fast as they can: `python -m tests.helpers.claimers URL STUDY BUDGET`."""

from __future__ import annotations

import json
import sys

from tests.helpers.together import run_together, wait_for_others


def claim_in_processes(url: str, study: str, budget: int, processes: int) -> list[list[int]]:
    """The numbers that each process claimed."""
    return run_together(processes, __name__, url, study, str(budget))


def main(url: str, name: str, budget: int) -> None:
    import optuna
    from optuna.trial import TrialState

    from peftsearch.storage.claims import claim
    from peftsearch.storage.database import open_storage

    study = optuna.load_study(study_name=name, storage=open_storage(url), sampler=optuna.samplers.RandomSampler())
    wait_for_others()
    numbers = []
    while (trial := claim(study, budget, {"pid": 0})) is not None:
        numbers.append(trial.number)
        state = TrialState.FAIL if trial.number % 7 == 3 else TrialState.COMPLETE
        study.tell(trial, 0.0 if state is TrialState.COMPLETE else None, state=state)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
