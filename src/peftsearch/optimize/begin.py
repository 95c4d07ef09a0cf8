"""What happens before the first trial of a search: checks, data, storage and the reference to beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from peftsearch.core.calls.precedence import of_study
from peftsearch.core.errors import UserError, nearest
from peftsearch.core.files.disk import check_writable, make_runs
from peftsearch.core.files.run_folder import STUDY_NAME, RunFolder
from peftsearch.core.objectives import check_classes
from peftsearch.core.strategies import PRUNERS, SAMPLERS
from peftsearch.optimize.number_format import format_notes
from peftsearch.results.reference import measure_reference
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.alike.data import check_search_data
from peftsearch.storage.alike.packages import check_packages
from peftsearch.storage.artifacts.place import open_place
from peftsearch.storage.artifacts.settle import place_of, settle
from peftsearch.storage.artifacts.shelf import Shelf
from peftsearch.storage.connection.patience import PATIENCE_SECONDS, patience_of
from peftsearch.storage.connection.where import storage_url
from peftsearch.storage.prepare import prepare
from peftsearch.storage.study_attributes import About, not_told_yet, write_about, write_reference
from peftsearch.study.compatibility import check_feasible
from peftsearch.tracking.table import check_installed
from peftsearch.workers.job import Job

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.data.base import TextData
    from peftsearch.study.spec import StudySpec

ENDLESS = 1_000_000_000
"""The total of trials of a search that ends by its time limit, or once it is flat."""


def check_data(spec: StudySpec, folder: RunFolder) -> TextData:
    """Check that the study's methods fit its backbones, and prepare its data.

    Raises:
        UserError: a method does not fit, a tracker is not installed, `folder` or the data cannot be used, or an
            objective cannot be measured on it.
    """
    from peftsearch.data.describe import coarse_selection
    from peftsearch.data.load import data_of_study
    from peftsearch.training.metrics.hf_evaluate import check_computable

    make_runs(folder)
    check_feasible(spec)
    check_installed(spec.tracking)
    data = data_of_study(spec.data, spec.folder, folder)
    check_classes(spec.measured, data.labels)
    check_computable(spec.measured, len(data.labels))
    return replace(data, notes=(*data.notes, *coarse_selection(data))) if "macro_f1" in spec.measured else data


def begin(
    spec: StudySpec,
    *,
    trials: int | None,
    storage: str | None,
    storage_patience: float = PATIENCE_SECONDS,
    fork: str | None,
    artifacts: str | None = None,
    say: Callable[[str], None],
    trains: bool = True,
    other_packages: bool = False,
) -> StoredStudy:
    """Check the study, prepare its data, enqueue its baselines in the storage and measure the reference.

    Args:
        trials: the total of trials asked for, which is kept beside the study for `status`; None without one.
        storage: a database URL; None for the default.
        storage_patience: how many seconds each call waits for a storage that does not answer.
        fork: the name in the storage, if it is not the study's own.
        artifacts: where to keep weights for all machines, as `storage.artifacts.settle.place_of` takes it.
        say: receives each note that no earlier search of the study has said, as one line.
        trains: whether trials are trained with this machine's packages, or elsewhere only.
        other_packages: whether these may be other versions than those with which the search was begun.

    Raises:
        UserError: something is not as it must be, or this machine's data or packages are not those of the search;
            nothing has been trained.
    """
    _check_asked(trials, fork)
    name = fork or spec.name
    make_runs(RunFolder.of(name))
    check_writable(RunFolder.of(name).root)
    data = check_data(spec, RunFolder.of(name))
    url = storage_url(name, storage)
    study = prepare(spec, url, name, patience=storage_patience)
    check_search_data(study, data)
    if trains and (note := check_packages(study, other_packages)):
        say(note)
    place = settle(study, artifacts)
    stored = StoredStudy(name, study, spec.objectives, RunFolder.of(name), url)
    for note in not_told_yet(study, (*spec.warnings, *format_notes(spec.training.precision), *data.notes)):
        say(note)
    if place is not None:
        Shelf(study, stored.folder, open_place(place), say).sweep()
    if trials is not None and trials < (stored.about.budget or 0):
        say(f"the total of all trials is {trials} now, for every worker; it was {stored.about.budget}")
    write_about(study, About(spec.goal, spec.data.model_dump(mode="json"), trials))
    for problem in stored.checkpoint_problems():
        say(problem)
    _measure_reference(stored, data, say, tried="tfidf" in spec.methods)
    return stored


def _check_asked(trials: Any, fork: Any) -> None:
    """Check what a Python caller may have got wrong; the command line has checked its options itself."""
    if trials is not None and (not isinstance(trials, int) or isinstance(trials, bool) or trials < 1):
        raise UserError(f"trials must be a whole number, at least 1, but got {trials!r}")
    if fork is not None and not STUDY_NAME.fullmatch(str(fork)):
        raise UserError(f"fork: {fork!r} names files, so it may have letters, digits, - and _ only")


def job_of(
    stored: StoredStudy,
    spec: StudySpec,
    *,
    trials: int | None,
    trial_timeout: float | None,
    sampler: str | None,
    pruner: str | None,
    seed: int | None,
    exact: bool,
    cache_size: int | None,
    until_flat: bool = False,
    artifacts: str | None = None,
    other_packages: bool = False,
) -> Job:
    """What the workers of a search are told. `sampler`, `pruner` and `seed` take precedence over the study's own.

    Args:
        until_flat: whether the search ends once it is flat, judged from the trials that have ended by now on.
        artifacts: as for `begin`.
        other_packages: whether machines with other versions of packages may train trials, too.

    Raises:
        UserError: there is no such sampler or pruner.
    """
    sampler, pruner = of_study(sampler, spec.search.sampler), of_study(pruner, spec.search.pruner)
    for kind, name, table in (("sampler", sampler, SAMPLERS), ("pruner", pruner, PRUNERS)):
        if name not in table:
            raise UserError(f"no {kind} {name!r}; {nearest(name, table)}")
    return Job(
        document=spec.document,
        path=str(spec.path.resolve()),
        name=stored.name,
        storage=stored.url,
        budget=ENDLESS if trials is None else trials,
        folder=str(stored.folder.root.resolve()),
        # If the baselines counted as random trials, TPE would begin with one point for each method and repeat it.
        startup_trials=len(spec.baselines) + spec.search.startup_trials,
        since=time.time(),
        sampler=sampler,
        pruner=pruner,
        seed=of_study(seed, spec.search.seed),
        exact=exact,
        cache_size=cache_size,
        artifacts=place_of(stored.study, artifacts),
        other_packages=other_packages,
        storage_patience=patience_of(stored.storage).seconds,
        trial_timeout=trial_timeout,
        flat_from=stored.status().done if until_flat else None,
    )


def job_of_queue(stored: StoredStudy, spec: StudySpec, queue: Study) -> Job:
    """What the workers of a queue (`storage.confirm_queue`) are told, which repeat what trials of the search did."""
    job = job_of(
        stored, spec, trials=None, trial_timeout=None, sampler=None, pruner="none", seed=None, exact=False,
        cache_size=None,
    )  # fmt: skip
    return replace(job, name=queue.study_name, budget=None)


def _measure_reference(stored: StoredStudy, data: TextData, say: Callable[[str], None], *, tried: bool) -> None:
    """Measure the reference once for this data, and say it. Texts without words (only emoji, say) have none.

    Args:
        tried: whether the search tries TF-IDF too. A trial then says what that reaches, as one of the first.
    """
    if stored.reference and stored.reference.fingerprint == data.fingerprint:
        return
    try:
        reference = measure_reference(data)
    except UserError as error:
        say(f"no reference is measured: {error}")
        return
    write_reference(stored.study, reference.to_dict())
    if not tried:
        say(reference.sentence(stored.quality))
