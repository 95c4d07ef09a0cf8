"""The public functions: what the command line does, for Python."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from peftsearch.confirm.run import Progress, confirm, searched_data
from peftsearch.confirm.summary import Confirmation, confirmation
from peftsearch.core.errors import UserError
from peftsearch.core.objectives import check_classes
from peftsearch.core.run_folder import RunFolder
from peftsearch.export.load import LoadedClassifier, load_classifier
from peftsearch.export.write import export_trial
from peftsearch.results.front import Row
from peftsearch.results.reference import measure_reference
from peftsearch.results.stored_study import StoredStudy, open_stored, storage_url
from peftsearch.storage.prepare import check_space, prepare
from peftsearch.storage.records import Record
from peftsearch.storage.study_attributes import About, write_about, write_reference
from peftsearch.study.compatibility import check_feasible
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import StudySpec, list_studies, load_study
from peftsearch.study.suggest import baseline_config
from peftsearch.workers.job import Job
from peftsearch.workers.local import local_engine
from peftsearch.workers.supervisor import Outcome, run_workers

if TYPE_CHECKING:
    from peftsearch.core.config import TrialConfig
    from peftsearch.data.base import TextData
    from peftsearch.data.describe import TokenLengths
    from peftsearch.training.dry_run import Fitness

__all__ = [
    "Confirmation",
    "LoadedClassifier",
    "Outcome",
    "Overrides",
    "Record",
    "Row",
    "StoredStudy",
    "StudySpec",
    "baseline_parameters",
    "begin_study",
    "check_study",
    "confirm_study",
    "export_trial",
    "list_studies",
    "load_classifier",
    "load_study",
    "methods_on",
    "open_results",
    "run_study",
    "search",
    "token_lengths",
]


def run_study(
    spec: StudySpec,
    *,
    trials: int,
    workers: int | None = None,
    timeout: float | None = None,
    storage: str | None = None,
    fork: str | None = None,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
) -> StoredStudy:
    """Search until the study has `trials` finished trials, those of earlier runs among them.

    Args:
        trials: the total; running again continues.
        workers: processes; by default one, and on GPUs as many as they have room for.
        timeout: seconds, after which running trials are put back.
        storage: a database URL; default `PEFTSEARCH_STORAGE`, else SQLite in `./runs`.
        fork: another name to keep the trials under.
        on_tick: called about once a second with every trial.

    Raises:
        UserError: the study cannot run; nothing has been trained.

    Example:
        >>> results = run_study(load_study("quickstart"), trials=12)  # doctest: +SKIP
        >>> results.front()[0].objectives["macro_f1"]  # doctest: +SKIP
        0.87
    """
    stored = begin_study(spec, trials=trials, storage=storage, fork=fork)
    search(stored, spec, trials=trials, workers=workers, timeout=timeout, on_tick=on_tick)
    return stored


def begin_study(
    spec: StudySpec,
    *,
    trials: int,
    storage: str | None = None,
    fork: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> StoredStudy:
    """Everything before the first trial: the backbones are there, the data is prepared, the storage holds the study.

    Args:
        say: given what is worth knowing, a line each.

    Raises:
        UserError: any of them is not as it must be.
    """
    name = fork or spec.name
    data = check_study(spec, RunFolder.of(name))
    for note in (*spec.warnings, *data.notes):
        say(note)
    url = storage_url(name, storage)
    study = prepare(spec, url, name)
    stored = StoredStudy(name, study, spec.objectives, RunFolder.of(name), url)
    write_about(study, About(spec.goal, spec.data.model_dump(mode="json"), trials))
    _measure_reference(stored, data, say)
    return stored


def check_study(spec: StudySpec, folder: RunFolder) -> TextData:
    """The study's data, prepared in `folder`, after its backbones were found to fit its methods.

    Raises:
        UserError: they do not, the data cannot be used, or an objective cannot be measured on it.
    """
    from peftsearch.data.load import load_data
    from peftsearch.training.metrics.hf_evaluate import check_computable

    check_feasible(spec)
    data = load_data(spec.data, spec.folder, folder.data)
    check_classes(spec.objectives, data.labels)
    check_computable(spec.objectives, len(data.labels))
    return data


def token_lengths(spec: StudySpec, data: TextData) -> dict[str, TokenLengths]:
    """How long the training texts are for each backbone's tokenizer, by the backbone's name.

    Raises:
        UserError: a tokenizer cannot be read.
    """
    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.data.describe import token_lengths

    found = {}
    for backbone in spec.backbones:
        tokenizer = tokenizer_of(backbone, resolve(backbone.name, backbone.revision))
        found[backbone.name] = token_lengths(data, tokenizer, backbone.max_length or spec.data.max_length)
    return found


def search(
    stored: StoredStudy,
    spec: StudySpec,
    *,
    trials: int,
    workers: int | None = None,
    workers_per_device: int | None = None,
    timeout: float | None = None,
    on_tick: Callable[[list[Record]], None] = lambda _: None,
    sampler: str | None = None,
    pruner: str | None = None,
    seed: int | None = None,
    exact: bool = False,
    cache_size: int | None = None,
) -> Outcome:
    """Train what `begin_study` has prepared; `sampler`, `pruner` and `seed` go before the study's own.

    Args:
        workers_per_device: where `workers` does not say how many there are: for each GPU, or for the CPU. By default 1,
            and on GPUs one more for as long as they are seen to have room for it.
        exact: without what changes results, however little, for the sake of speed.
        cache_size: bytes that frozen prefixes' states may take; by default a quarter of the free disk space.
    """
    job = Job(
        document=spec.document,
        path=str(spec.path.resolve()),
        name=stored.name,
        storage=stored.url,
        budget=trials,
        folder=str(stored.folder.root.resolve()),
        startup_trials=len(spec.baselines) + spec.search.startup_trials,  # random ones beside those tried first
        since=time.time(),
        sampler=sampler or spec.search.sampler,
        pruner=pruner or spec.search.pruner,
        seed=spec.search.seed if seed is None else seed,
        exact=exact,
        cache_size=cache_size,
    )
    engine = local_engine(workers, workers_per_device)
    return run_workers(stored.study, job, engine, on_tick=on_tick, timeout=timeout)


def confirm_study(
    study: str,
    *,
    trials: Sequence[int | str] = (),
    seeds: int = 3,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    on_run: Callable[[Progress], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Confirmation:
    """Train trials again with other seeds, and measure them on the test split, which nothing else reads.

    What was run before is not run again, so an interrupted call loses one run, and calls with more trials or seeds
    add to it. That the test split was opened is written into the study.

    Args:
        study: a study's name, or its file's path. Its data is read as the search did, `--data` and `--limit` included.
        trials: numbers, or `best`; none for the whole front.
        seeds: for each trial: its own plus 1, 2, …; a method in which nothing is random is run once.
        on_run: called after each run.
        say: given what is worth knowing, a line each.

    Returns:
        Every trial of the study that has been confirmed so far, the best on test first.

    Raises:
        UserError: a trial is not there or not finished, the data has changed, or it has no usable test split.
    """
    stored = open_results(study, storage=storage, fork=fork, overrides=overrides)
    data = searched_data(stored, load_study(study, overrides))
    confirm(stored, data, trials, seeds, on_run, say)
    return confirmation(stored)


def methods_on(backbone: str, revision: str | None = None) -> Iterator[Fitness]:
    """How each method fares on a backbone, tried for a few steps on a toy batch.

    Raises:
        UserError: the backbone is not found.
    """
    from peftsearch.backbones.names import resolve
    from peftsearch.training.dry_run import try_methods

    return try_methods(resolve(backbone, revision))


def baseline_parameters(spec: StudySpec, classes: int | None = None) -> list[tuple[TrialConfig, list[int]]]:
    """Each baseline with its trainable parameters in each epoch; of the backbones a `config.json` is enough.

    Args:
        classes: how many labels; by default the study's data is read to count them.

    Raises:
        UserError: a baseline does not fit its backbone, or the data cannot be read.
    """
    from peftsearch.backbones.names import resolve_config_only
    from peftsearch.methods.table import ENCODER_METHODS
    from peftsearch.training.dry_run import trainable_by_epoch

    if classes is None:
        from peftsearch.data.load import load_data

        classes = len(load_data(spec.data, spec.folder, RunFolder.of(spec.name).data).labels)
    configs = [baseline_config(spec, baseline) for baseline in spec.baselines]
    known = [config for config in configs if config.method in ENCODER_METHODS]
    return [(c, trainable_by_epoch(c, resolve_config_only(c.backbone, c.revision), classes)) for c in known]


def open_results(
    study: str, *, storage: str | None = None, fork: str | None = None, overrides: Overrides | None = None
) -> StoredStudy:
    """The trials of a study so far.

    Args:
        study: a study's name, or its file's path. A name with trials in `./runs` needs no file any more.
        overrides: if given, the trials must be of the study with just these.

    Raises:
        UserError: there is no such study, no search of it has begun, or it was of other data or backbones.
    """
    stored = open_stored(fork or _stored_name(study), storage)
    if overrides:
        check_space(stored.study, load_study(study, overrides))
    return stored


def _stored_name(study: str) -> str:
    try:
        return load_study(study).name
    except UserError:
        if RunFolder.of(study).database.is_file():
            return study
        raise


def _measure_reference(stored: StoredStudy, data: TextData, say: Callable[[str], None]) -> None:
    """Once for this data; without words (say, in texts of emoji) there is no such line to beat."""
    if stored.reference and stored.reference.fingerprint == data.fingerprint:
        return
    try:
        write_reference(stored.study, measure_reference(data).to_dict())
    except UserError as error:
        say(f"no reference line: {error}")
