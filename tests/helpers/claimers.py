"""Processes that claim trials as fast as they can: `python -m tests.helpers.claimers URL STUDY BUDGET [TAKES …]`."""

from __future__ import annotations

import json
import sys

from tests.helpers.together import run_together, wait_for_others


def claim_in_processes(url: str, study: str, budget: int, processes: int, *takes: str) -> list[list[int]]:
    """The numbers that each process claimed, in turns as the workers that take these trials; by default all."""
    return run_together(processes, __name__, url, study, str(budget), *takes)


def main(url: str, name: str, budget: int, *takes: str) -> None:
    import optuna
    from optuna.trial import Trial, TrialState

    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.claims import claim, claim_new
    from peftsearch.storage.database import open_storage
    from peftsearch.study.starting_points.baselines import Baseline

    study = optuna.load_study(study_name=name, storage=open_storage(url), sampler=optuna.samplers.RandomSampler())

    def suggest(trial: Trial, baseline: Baseline | None) -> TrialConfig:
        method = trial.suggest_categorical("method", ["full", "tfidf"])
        return TrialConfig("b", method, {"x": trial.suggest_float("x", 0.0, 1.0)})

    def one(role: str) -> Trial | None:
        if role == "all":
            return claim(study, budget, {"pid": 0})
        claimed = claim_new(study, budget, {"pid": 0}, suggest, takes=role)  # type: ignore[arg-type]
        assert claimed is None or claimed[1].method == "tfidf" or role == "encoders"
        return claimed[0] if claimed else None

    wait_for_others()
    numbers = []
    while trials := [trial for role in takes or ("all",) if (trial := one(role)) is not None]:
        for trial in trials:
            numbers.append(trial.number)
            state = TrialState.FAIL if trial.number % 7 == 3 else TrialState.COMPLETE
            study.tell(trial, 0.0 if state is TrialState.COMPLETE else None, state=state)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:])
