"""The public functions: what the command line does, for Python. `import peftsearch` offers the same names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.confirm.open import open_confirmation
from peftsearch.confirm.plan import BEST, SEEDS
from peftsearch.confirm.progress import ConfirmedRun, RunsSoFar
from peftsearch.confirm.run import Places, Wanted, confirm, searched_data
from peftsearch.confirm.summary import Confirmation, confirmation
from peftsearch.core.calls.arguments import checked
from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.points import Point
from peftsearch.draft.new_file import init_study
from peftsearch.export.configuration import export_config, export_front_configs
from peftsearch.export.push import push_export
from peftsearch.export.retrain import train_again
from peftsearch.export.script.write import export_script
from peftsearch.export.train import train_config
from peftsearch.export.write import write_export
from peftsearch.optimize.begin import check_data
from peftsearch.optimize.join import run_worker
from peftsearch.optimize.run import run_study
from peftsearch.predict.load import LoadedClassifier, load_classifier
from peftsearch.recommend.recommendation import Recommendation, recommend_trial
from peftsearch.report.html.page import report_study
from peftsearch.results.open import Study, file_of, open_results, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.overrides import Overrides
from peftsearch.study.spec import StudySpec, list_studies, load_study

if TYPE_CHECKING:
    from peftsearch.data.base import TextData
    from peftsearch.training.checkpoint import Checkpoint

__all__ = [
    "Confirmation",
    "LoadedClassifier",
    "Overrides",
    "Recommendation",
    "StoredStudy",
    "StudySpec",
    "UserError",
    "check_study",
    "confirm_study",
    "export_config",
    "export_front_configs",
    "export_script",
    "export_trial",
    "init_study",
    "list_studies",
    "load_classifier",
    "load_study",
    "open_confirmation",
    "open_results",
    "push_export",
    "recommend_trial",
    "report_study",
    "run_study",
    "run_worker",
    "train_config",
]


@checked
def check_study(study: Study, *, overrides: Overrides | None = None) -> TextData:
    """Validate a study and prepare its data. Trains nothing.

    Args:
        study: a name, the path of a YAML file, or a loaded study.
        overrides: other data, backbones or row limits for the same study.

    Returns:
        The data as every trial will read it: label names, splits and notes about what was found in them.

    Raises:
        UserError: the study file has problems, a method does not fit a backbone, the data cannot be used, or an
            objective cannot be measured on it.

    Examples:
        >>> data = check_study("quickstart")
        >>> sorted(data.splits)
        ['test', 'train', 'validation']
    """
    spec = load_study(study, overrides)
    return check_data(spec, RunFolder.of(spec.name))


@checked
def confirm_study(
    study: Study,
    *,
    trials: Sequence[int | str | Point] = (),
    best: int = BEST,
    seeds: int = SEEDS,
    workers: int | None = None,
    workers_per_device: int | None = None,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    on_run: Callable[[ConfirmedRun], None] = lambda _: None,
    on_tick: Callable[[RunsSoFar], None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Confirmation:
    """Train trials again with other seeds, and measure them on the test split, which nothing else reads.

    Runs that were done before are not repeated: an interrupted call loses only the runs in hand, and a call with more
    trials or seeds adds to what is there. The study records that its test split was opened. Each trial is trained in
    the number format, with the CPU threads and with the exactness of the search. TF-IDF with logistic regression, the
    reference, is measured too.

    With one worker, which is the default on a CPU, every run's time is measured alone. With several, the last run of
    each trial is trained after the others, alone, and the times shown are those of such runs.

    Args:
        study: a name, the path of a YAML file, or a loaded study. The data is read as the search read it.
        trials: numbers of trials, epochs of trials as `"7@3"`, or `best`; by default the front and its runners-up.
        best: how many trials that default takes: all of the front, each at its best point there, and then the best
            others by quality.
        seeds: how many other seeds each trial is trained with. A method without randomness is trained once.
        workers: the number of worker processes, as for `run_study`.
        workers_per_device: as for `run_study`.
        storage: a database URL; by default `PEFTSEARCH_STORAGE`, else a SQLite file in `./runs`.
        fork: the name under which the trials are kept, if it is not the study's own.
        overrides: as for `open_results`.
        on_run: called after each run.
        on_tick: called about once a second with how far the runs are.
        say: called with each note worth knowing, one line each.

    Returns:
        Every trial of the study that has been confirmed so far, the best on the test split first; its `outcome` says
        how the call ended.

    Raises:
        UserError: a trial is missing or unfinished, the data has changed, or it has no usable test split.
        StorageLost: the storage did not answer for too long, or was deleted. The same call continues.

    Examples:
        >>> found = confirm_study("quickstart", trials=["best"], seeds=1)
        >>> [len(row.test) for row in found.rows]
        [1]
    """
    stored = open_results(study, storage=storage, fork=fork, overrides=overrides)
    spec = file_of(stored, study, overrides)
    data = searched_data(stored, spec)
    places = Places.local(workers, workers_per_device)
    outcome = confirm(stored, spec, data, Wanted(trials, best, seeds), places, on_run, say, on_tick)
    return replace(confirmation(stored), outcome=outcome)


@checked
def export_trial(
    study: Study | StoredStudy,
    trial: int | str | Point,
    out: str | Path,
    *,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
    retrain: bool = False,
    overwrite: bool = False,
    adapter: bool = False,
    onnx: bool = False,
    int8: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Checkpoint:
    """Write the classifier of a trial to a folder that needs neither the study nor its storage.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        trial: a number, an epoch of a trial as `"7@3"`, or `best`: the point on the front with the best quality.
        out: a new or empty folder.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.
        retrain: train the trial again, as the search did, if its checkpoint is missing or damaged.
        overwrite: replace an earlier export in `out`. A folder that holds anything else is never touched.
        adapter: leave out the backbone, and write for the library that trained what it has added, and the head.
        onnx: write `onnx/model.onnx`, too, which onnxruntime runs without torch (extra `onnx`).
        int8: with `onnx`, write `onnx/model_int8.onnx`, too: a quarter of the size, and answers that may differ.
        say: called with each note worth knowing, one line each.

    Returns:
        What was exported: its number and epoch, configuration and measurement.

    Raises:
        UserError: no trial has finished, the trial's checkpoint is missing or damaged, `out` is not empty, or the
            trial cannot be written as an adapter.

    Examples:
        >>> kept = export_trial("quickstart", "best", "my-classifier")
        >>> kept.number == open_results("quickstart").best().record.number
        True
    """
    stored = results_of(study, storage, fork, overrides)
    source = study.name if isinstance(study, StoredStudy) else study

    def again(point: Point) -> None:
        train_again(stored, file_of(stored, source, overrides), point, say)

    run_again = again if retrain else None
    how: dict[str, bool] = {"overwrite": overwrite, "adapter": adapter, "onnx": onnx, "int8": int8}
    return write_export(stored, trial, Path(out), run_again, **how, say=say)
