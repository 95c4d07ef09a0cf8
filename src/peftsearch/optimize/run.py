"""A search from its first check to its last trial: the workers are started here, and looked after."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace

from peftsearch.core.calls.arguments import checked
from peftsearch.core.calls.precedence import of_study
from peftsearch.core.errors import NotBegun, UserError, nearest
from peftsearch.core.strategies import ENGINES, load_strategy
from peftsearch.optimize.begin import begin, job_of
from peftsearch.optimize.like import begun_like
from peftsearch.optimize.retiming.run import measure_again, time_left
from peftsearch.results.open import Study, open_results
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.connection.patience import PATIENCE_SECONDS
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import write_about
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import StudySpec, load_study
from peftsearch.workers.engine import Engine, Wanted
from peftsearch.workers.local import LocalEngine, chosen_threads
from peftsearch.workers.supervisor import run_workers

NO_MORE = ("done", "flat", "timeout", "exhausted")
"""How a search ends that is to train no further trial now."""


@checked
def run_study(
    study: Study,
    *,
    trials: int | None = None,
    workers: int | None = None,
    workers_per_device: int | None = None,
    engine: str = "local",
    gpus_per_worker: float | None = None,
    address: str | None = None,
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
    retime: bool | None = None,
    overrides: Overrides | None = None,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> StoredStudy:
    """Search a study until it has `trials` finished trials, counting those of earlier runs, for a time, or until flat.

    Ctrl-C once puts the running trials back and returns the results so far; so do SIGTERM and SIGHUP. Trials that other
    searches of this study train are waited for, and taken over if their workers die.

    Args:
        study: a name, the path of a YAML file, or a loaded study.
        trials: the total number of trials; the same call continues an unfinished search. None searches until `timeout`,
            or until the search is flat.
        workers: the number of worker processes. By default there is one for the CPU, or as many as the GPUs have
            room for and one beside them for methods that need no GPU. With 0 none is started, and the search is
            watched, which `run_worker` trains elsewhere; a request to end then ends the watching only.
        workers_per_device: the number of workers for each GPU, or for the CPU, where `workers` is not given.
        engine: where the workers run: `local`, in processes of this machine, or `ray`, in actors of a Ray cluster.
        gpus_per_worker: with `ray`, how much of a GPU each worker gets, as in 0.5; by default 1 where there are GPUs.
        address: with `ray`, that of the cluster; by default what `RAY_ADDRESS` says, a cluster that runs on this
            machine, or a new one of this machine alone.
        timeout: seconds after which the running trials are put back and the search ends. Checks and the preparation of
            the data come before that time.
        until_flat: end the search once the last 16 trials that the sampler proposed have added less than 0.5 % to the
            hypervolume, where values within the tolerance count as equal; running trials are trained to their ends.
        like: the name of a study whose trials are kept, or the URL of a database that holds one study. Its front and
            the best trial of each of its methods are tried first, after the methods that train no part of an encoder.
        every_epoch: whether every epoch of a trial counts as a point of the front; by default what the study says, and
            else that it does.
        trial_timeout: seconds without a step after which a trial is stopped as hung, and tried once more; by default
            ten times its slowest step so far and at least five minutes, and half an hour before its first step.
        sampler: what proposes configurations: `tpe`, `ehvi` or `random`; by default what the study says.
        pruner: when a trial is stopped early: `dominated`, `median` or `none`; by default what the study says.
        seed: the sampler's seed; by default what the study says.
        exact: switch off every optimisation that changes results, however little: slower, for comparisons.
        cache_size: bytes that the frozen-prefix cache may take on disk; by default a quarter of the free space.
        artifacts: where to keep the weights of the front for all machines, too: a folder that they share, the URL of a
            bucket (`s3://bucket/folder`, `gs://bucket/folder`), or `none`; by default `PEFTSEARCH_ARTIFACTS`, or where
            the study's weights are. Those of a new study stay on the machine that trained them.
        other_packages: train also where the versions of packages differ from those that the search was begun with, as
            after an upgrade. Otherwise such a machine is refused. Which trial had which versions is kept.
        storage: a database URL; by default `PEFTSEARCH_STORAGE`, else a SQLite file in `./runs`.
        storage_patience: how many seconds the search waits for a storage that does not answer, before it ends.
        fork: another name under which to keep this search's trials.
        retime: whether to measure the training times of the front again at the end, a few steps of each trial, alone
            and in turns; by default where trials shared a GPU, unless the study says never to. It takes about a minute,
            or with a `timeout`, unless it is asked for, what is left of that and of 5 % more.
        overrides: other data, backbones or row limits for the same study.
        on_tick: called with every trial before the first worker starts, and about once a second after that.
        say: called with each note worth knowing, one line each.

    Returns:
        The study's results; `results.outcome` says how the search ended.

    Raises:
        UserError: the study cannot run; nothing has been trained.
        StorageLost: the storage did not answer for too long, or was deleted. The same call continues the search.

    Examples:
        >>> results = run_study("quickstart", trials=2)
        >>> results.outcome.how
        'done'
        >>> list(results.front_frame().columns[:4])
        ['trial', 'epoch', 'method', 'backbone']
    """
    if trials is None and timeout is None and not until_flat:
        raise UserError("a search needs an end: give trials=20, timeout=1800 (seconds), until_flat=True, or several")
    if engine not in ENGINES:
        raise UserError(f"no engine {engine!r}; {nearest(engine, ENGINES)}")
    spec = load_study(study, overrides)
    spec = replace(spec, every_epoch=of_study(every_epoch, spec.every_epoch))
    if like is not None:
        spec = begun_like(spec, like, fork or spec.name, storage)
    stored = found(spec, trials, storage, fork) if workers == 0 else None
    if stored is None:
        stored = begin(
            spec, trials=trials, storage=storage, storage_patience=storage_patience, fork=fork, artifacts=artifacts,
            say=say, trains=workers != 0, other_packages=other_packages,
        )  # fmt: skip
    if workers == 0 or (retime is None and not spec.search.retime):
        retime = False
    done = stored.status().done
    if trials is not None and done >= trials:
        say(f"{done} of {trials} trials are already done")
        return replace(stored, outcome=measure_again(stored, spec, say, retime))
    job = job_of(
        stored, spec, trials=trials, trial_timeout=trial_timeout, sampler=sampler, pruner=pruner, seed=seed,
        exact=exact, cache_size=cache_size, until_flat=until_flat, artifacts=artifacts,
        other_packages=other_packages,
    )  # fmt: skip
    wanted = Wanted(workers, workers_per_device, list(spec.methods), gpus_per_worker, address, say=say)
    if workers == 0:
        say("no worker is started here; peftsearch worker starts one, on any machine that reaches the storage")
        say = _silent  # it would tell again and again which trials it waits for
        made: Engine = LocalEngine(0)
    else:
        made = make_engine(engine, wanted)
        if threads := chosen_threads():
            say(f"each worker computes with {threads} CPU thread{'' if threads == 1 else 's'}, as OMP_NUM_THREADS says")
    on_tick(stored.records())
    began = time.monotonic()
    with closing(made):
        outcome = run_workers(stored.study, job, made, on_tick=on_tick, timeout=timeout, say=say)
    if outcome.how in NO_MORE:
        again = measure_again(stored, spec, say, retime, seconds=time_left(began, timeout, retime))
        outcome = outcome if again.how == "done" else again
    for problem in stored.checkpoint_problems(trust_times=True) if job.artifacts else ():
        say(problem)
    return replace(stored, outcome=outcome)


def make_engine(name: str, wanted: Wanted) -> Engine:
    """The engine `name`, one of `ENGINES`.

    Raises:
        UserError: it cannot be had as it is wanted.
    """
    engine: Engine = load_strategy(ENGINES, name)(wanted)
    return engine


def found(spec: StudySpec, trials: int | None, storage: str | None, fork: str | None) -> StoredStudy | None:
    """A search that has begun, to be watched without the study's data; None if it has not.

    Args:
        trials: the total of trials that is asked for now, which is kept beside the study for workers without one.

    Raises:
        UserError: the storage holds another study under this name, or cannot be opened.
    """
    try:
        stored = open_results(spec, storage=storage, fork=fork)
    except NotBegun:
        return None
    if trials is not None:
        write_about(stored.study, replace(stored.about, budget=trials))
    return stored


def _silent(line: str) -> None:
    """Say nothing."""
