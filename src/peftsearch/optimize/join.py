"""One worker of a search that many of them train, each started by a scheduler, a shell or a person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from peftsearch.core.calls.arguments import checked
from peftsearch.core.calls.precedence import of_study
from peftsearch.core.errors import NotBegun, UserError
from peftsearch.optimize.begin import begin, job_of
from peftsearch.optimize.like import begun_like
from peftsearch.results.open import Study
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.connection.patience import PATIENCE_SECONDS
from peftsearch.storage.liveness.worker_identity import process_of, this_process
from peftsearch.storage.records import Record
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import load_study
from peftsearch.workers.local import single_worker
from peftsearch.workers.supervisor import run_workers

LOOK_SECONDS = 15.0
"""How often a worker looks at all trials. Hundreds of workers may share one database, and none needs to know sooner."""


@checked
def run_worker(
    study: Study,
    *,
    trials: int | None = None,
    until_done: bool = False,
    timeout: float | None = None,
    until_flat: bool = False,
    like: str | None = None,
    every_epoch: bool | None = None,
    trial_timeout: float | None = None,
    sampler: str | None = None,
    pruner: str | None = None,
    seed: int | None = None,
    exact: bool = False,
    cache_size: int | None = None,
    artifacts: str | None = None,
    other_packages: bool = False,
    storage: str | None = None,
    storage_patience: float = PATIENCE_SECONDS,
    fork: str | None = None,
    overrides: Overrides | None = None,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> StoredStudy:
    """Train trials of a search with one worker, beside any number of others on any machines, or begin the search.

    Workers share nothing but the storage. Each is a process that trains, and one that watches over it: a worker process
    that dies or hangs is replaced, and its trial is tried once more. Whoever begins the search enqueues its baselines,
    each once however many workers begin at the same moment. SIGTERM, SIGHUP and Ctrl-C put the running trial back.

    Args:
        study: a name, the path of a YAML file, or a loaded study.
        trials: the total number of trials of all workers; by default the one that the search was begun with.
        until_done: wait until the last trials of other workers have ended too, and take over those whose workers are
            gone. Otherwise the worker ends as soon as no trial is left to claim.
        timeout: seconds after which this worker ends; its running trial ends with the epochs that it has.
        until_flat: as for `run_study`.
        like: as for `run_study`.
        every_epoch: as for `run_study`; all workers of a search should be told the same.
        trial_timeout: as for `run_study`.
        sampler: as for `run_study`.
        pruner: as for `run_study`.
        seed: as for `run_study`; workers with the same seed draw different numbers.
        exact: as for `run_study`.
        cache_size: as for `run_study`.
        artifacts: as for `run_study`.
        other_packages: as for `run_study`.
        storage: as for `run_study`; workers on several machines need one that all of them reach.
        storage_patience: as for `run_study`.
        fork: as for `run_study`.
        overrides: as for `run_study`.
        on_tick: called with every trial before the worker starts, every fifteen seconds after that, and at the end.
        say: called with each note worth knowing, one line each.

    Returns:
        The study's results; `results.outcome` says how this worker ended. It is `done` also where other workers still
        train the last trials.

    Raises:
        UserError: the study cannot run, the storage holds another one under this name, or nobody has said how many
            trials there shall be.
        StorageLost: the storage did not answer for too long, or was deleted. The same call continues.

    Examples:
        >>> results = run_worker("quickstart", trials=2, until_done=True)
        >>> results.outcome.how, results.status().done
        ('done', 2)
    """
    spec = load_study(study, overrides)
    spec = replace(spec, every_epoch=of_study(every_epoch, spec.every_epoch))
    name = fork or spec.name
    total = trials or total_asked_for(name, storage)
    if total is None and timeout is None and not until_flat:
        raise UserError(
            f"how many trials {name!r} shall have is not known, since no search of it with a total has begun; give a"
            " worker trials=20 (--trials 20), or another end"
        )
    if like is not None:
        spec = begun_like(spec, like, name, storage)
    stored = begin(
        spec, trials=total, storage=storage, storage_patience=storage_patience, fork=fork,
        artifacts=artifacts, say=say, other_packages=other_packages,
    )  # fmt: skip
    job = job_of(
        stored, spec, trials=total, trial_timeout=trial_timeout, sampler=sampler, pruner=pruner, seed=seed,
        exact=exact, cache_size=cache_size, until_flat=until_flat, artifacts=artifacts,
        other_packages=other_packages,
    )  # fmt: skip
    on_tick(stored.records())
    look_seconds = LOOK_SECONDS if trial_timeout is None else min(LOOK_SECONDS, max(1.0, trial_timeout / 4))
    outcome = run_workers(
        stored.study, job, single_worker(spec.methods), on_tick=on_tick, timeout=timeout, say=say,
        until_done=until_done, look_seconds=look_seconds,
    )  # fmt: skip
    return replace(stored, outcome=outcome)


def total_asked_for(name: str, storage: str | None) -> int | None:
    """The total of trials that the study `name` was last begun with; None if there is no such study, or no total.

    Raises:
        UserError: the storage cannot be opened.
    """
    try:
        return open_stored(name, storage).about.budget
    except NotBegun:
        return None


def is_own(record: Record) -> bool:
    """Whether this process watches over the worker that trains or trained a trial."""
    return process_of(record.worker.get("parent")) == process_of(this_process())
