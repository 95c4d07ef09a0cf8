"""Processes that claim trials as fast as they can: `python -m tests.helpers.claimers URL STUDY BUDGET`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def claim_in_processes(url: str, study: str, budget: int, processes: int) -> list[list[int]]:
    """The numbers that each process claimed."""
    command = [sys.executable, "-m", "tests.helpers.claimers", url, study, str(budget)]
    root = Path(__file__).parents[2]
    running = [
        subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:  # all of them, once all have imported what they need
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    return [json.loads(process.communicate(timeout=120)[0]) for process in running]


def main(url: str, name: str, budget: int) -> None:
    import optuna
    from optuna.trial import TrialState

    from peftsearch.storage.claims import claim
    from peftsearch.storage.database import open_storage

    study = optuna.load_study(study_name=name, storage=open_storage(url), sampler=optuna.samplers.RandomSampler())
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = []
    while (trial := claim(study, budget, {"pid": 0})) is not None:
        numbers.append(trial.number)
        state = TrialState.FAIL if trial.number % 7 == 3 else TrialState.COMPLETE
        study.tell(trial, 0.0 if state is TrialState.COMPLETE else None, state=state)
    print(json.dumps(numbers))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
