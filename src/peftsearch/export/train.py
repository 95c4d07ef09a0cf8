"""Trains one configuration without a search, and writes the folder that `export` writes."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.calls.arguments import checked
from peftsearch.core.calls.precedence import of_study
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.core.measurement import EpochReport
from peftsearch.core.objectives import DEFAULT_METRIC
from peftsearch.core.points import Point
from peftsearch.core.progress import ending_after
from peftsearch.core.secrets import HIDDEN
from peftsearch.export.card.evidence import Evidence, TrainingRows
from peftsearch.export.proof import Rows, first_rows, prove
from peftsearch.export.target import check_out, written_whole
from peftsearch.export.write import write_files
from peftsearch.methods.table import METHODS
from peftsearch.optimize.begin import check_data
from peftsearch.results.formatting import config_in_words, duration, objective_with_unit
from peftsearch.study.catalogue import displayed
from peftsearch.study.overrides import Overrides
from peftsearch.study.sections import Origin
from peftsearch.study.single import only_config
from peftsearch.study.spec import StudySpec, load_study

if TYPE_CHECKING:
    from peftsearch.data.base import TextData
    from peftsearch.training.checkpoint import Checkpoint
    from peftsearch.training.text_trial import TextTrialResult
    from peftsearch.training.trial import TrialResult

TRAIN, VALIDATION = "train", "validation"


@checked
def train_config(
    config: str | Path | StudySpec,
    out: str | Path,
    *,
    overrides: Overrides | None = None,
    seed: int | None = None,
    all_rows: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Checkpoint:
    """Train one configuration without a search, and write its classifier to a folder, as `export_trial` does.

    The best epoch is chosen on the validation split. The test split is never read.

    Args:
        config: the path of a file that `export_config` has written, or any study that leaves nothing to search.
        out: a new or empty folder.
        overrides: other data, another backbone or row limits.
        seed: in place of the configuration's own.
        all_rows: train on the training and the validation rows together, for as many epochs as were best in the
            search. No rows are then left to measure the classifier on.
        overwrite: whether `out` may be an earlier export, which is replaced.
        say: called with each note worth knowing and after each epoch, one line each.

    Returns:
        The trained classifier's configuration, and what it measured on the validation split.

    Raises:
        UserError: the file has problems or leaves something to search, the data or the backbone cannot be used,
            training fails, or `out` is not empty.

    Examples:
        >>> kept = train_config("best.yaml", "trained")
        >>> kept.measurement.metrics == open_results("quickstart").best().record.measurement.metrics
        True
    """
    spec = _read(config, overrides)
    spec = replace(spec, training=replace(spec.training, seed=of_study(seed, spec.training.seed)))
    chosen, folder = only_config(spec), Path(out)
    last_epoch = _epochs_found(spec, chosen) if all_rows else (spec.origin or Origin()).epoch
    check_out(folder, overwrite)
    data = check_data(spec, RunFolder.of(spec.origin.study if spec.origin and spec.origin.study else spec.name))
    rows, asked = (_all_rows(data), _without_metrics(chosen)) if all_rows else (_without_test(data), chosen)
    for note in data.notes:
        say(note)
    say(_announcement(chosen, rows, last_epoch, _cut_after(spec)))
    if spec.origin and spec.origin.epoch and not all_rows:
        say("the weights are those of that epoch; to train all epochs, delete origin.epoch in the file")
    if _cut_after(spec) and not all_rows:
        say("the time limit of its search ended it there; to train all epochs, delete origin.out_of_time in the file")
    selection = None if all_rows else chosen.selection
    report = ending_after(None if all_rows else _cut_after(spec), lambda found: say(_epoch_line(found, selection)))
    result = _train(spec, asked, rows, report, last_epoch)
    result = replace(_without_scores(result, data) if all_rows else result, config=chosen)
    shown = first_rows(data.splits[VALIDATION], f"{VALIDATION} rows")
    return _write(spec, result, _evidence(spec, chosen, data, rows, all_rows), folder, overwrite, shown, say)


def _announcement(config: TrialConfig, data: TextData, last_epoch: int | None, most: int | None) -> str:
    rows, count = len(data.splits[TRAIN]), last_epoch or most or config.training.epochs
    epochs = f" for {'' if last_epoch else 'at most '}{count} {'epoch' if count == 1 else 'epochs'}"
    settings = config_in_words(config) or "as is"
    return (
        f"{config.method} ({settings}) learns from {rows:,} rows{epochs if METHODS[config.method].takes_steps else ''}"
    )


def _epoch_line(report: EpochReport, selection: str | None) -> str:
    """One epoch; without a score where no rows are left to measure on."""
    score = f"{objective_with_unit(selection, report.metrics[selection])}, " if selection else ""
    return f"epoch {report.epoch}: {score}training loss {report.train_loss:.4f}, {duration(report.train_seconds)}"


def _read(config: str | Path | StudySpec, overrides: Overrides | None) -> StudySpec:
    if not isinstance(config, StudySpec) and not Path(config).is_file():
        raise UserError(
            f"--config {config}: there is no such file; write one with: peftsearch export --config {config}"
        )
    spec = load_study(config if isinstance(config, StudySpec) else Path(config).absolute(), overrides)
    if HIDDEN in str(spec.data.source):
        raise UserError(
            f"{displayed(spec.path)}: data.source: the secrets of its URL are not kept; name it with --data"
        )
    return spec


def _epochs_found(spec: StudySpec, config: TrialConfig) -> int | None:
    """How many epochs to train where no rows are left to choose the best one by; None for a method without epochs."""
    if not METHODS[config.method].takes_steps:
        return None
    best = spec.origin.best_epoch if spec.origin else None
    if best is None:
        raise UserError(
            f"{displayed(spec.path)}: origin.best_epoch: is missing, and --all-rows leaves no rows to choose the best "
            "epoch by; train without --all-rows first, and write the best epoch there"
        )
    return min(best, config.training.epochs)


def _cut_after(spec: StudySpec) -> int | None:
    """The epoch after which the time limit of the search ended the trial."""
    return spec.origin.epochs if spec.origin and spec.origin.out_of_time else None


def _without_test(data: TextData) -> TextData:
    return replace(data, splits={name: data.splits[name] for name in (TRAIN, VALIDATION)})


def _all_rows(data: TextData) -> TextData:
    """Training and validation rows together. Training needs something to evaluate, so one row stands for that."""
    from datasets import concatenate_datasets

    rows = concatenate_datasets([data.splits[TRAIN], data.splits[VALIDATION]])
    splits = {TRAIN: rows, VALIDATION: rows.select([0])}
    return replace(data, splits=splits, fingerprint=f"{data.fingerprint}-all")  # caches go by it


def _without_metrics(config: TrialConfig) -> TrialConfig:
    """The configuration without what would be measured on the one row."""
    return replace(config, evaluate=(), measure=(), selection=DEFAULT_METRIC)


def _train(
    spec: StudySpec,
    config: TrialConfig,
    data: TextData,
    report: Callable[[EpochReport], None],
    last_epoch: int | None,
) -> TrialResult | TextTrialResult:
    from peftsearch.training.trial import run_trial

    exact = spec.origin.exact if spec.origin else False
    try:
        return run_trial(config, data, report, cache=cache_folder().root, exact=exact, last_epoch=last_epoch)
    except TrialFailure as failure:
        raise UserError(f"{displayed(spec.path)}: training failed: {failure}") from failure


def _without_scores(result: TrialResult | TextTrialResult, data: TextData) -> TrialResult | TextTrialResult:
    """The result without what was measured on rows that it was trained on."""
    unmeasured = replace(result.measurement, metrics={}, classes=None, data_fingerprint=data.fingerprint)
    return replace(result, measurement=unmeasured, predictions=None)


def _evidence(spec: StudySpec, config: TrialConfig, data: TextData, rows: TextData, all_rows: bool) -> Evidence:
    """What the model card says besides the measurement. The search's score counts where it had the same data."""
    from peftsearch.data.describe import classes_of

    origin = spec.origin or Origin()
    comparable = origin.metric == config.selection and origin.fingerprint in (data.fingerprint, None)
    return Evidence(
        metric=config.selection,
        training=TrainingRows(classes_of(rows, TRAIN)),
        all_rows=all_rows,
        searched=origin.score if comparable else None,
    )


def _write(
    spec: StudySpec,
    result: TrialResult | TextTrialResult,
    evidence: Evidence,
    out: Path,
    overwrite: bool,
    shown: Rows,
    say: Callable[[str], None],
) -> Checkpoint:
    from peftsearch.training.checkpoint import read_checkpoint

    origin = spec.origin
    trial = origin.trial if origin else None
    point = Point(trial or 0, origin.epoch if origin else None)
    about: dict[str, Any] = {
        "study": (origin and origin.study) or spec.name,
        "trial": trial,
        "epoch": point.epoch,
        "goal": spec.goal,
        "data": spec.data.model_dump(mode="json"),
    }
    with tempfile.TemporaryDirectory(prefix="peftsearch-") as weights:
        result.save(Path(weights) / str(point))
        kept = read_checkpoint(Path(weights), point)
        with written_whole(out, overwrite) as folder:
            say(str(prove(kept, write_files(kept, folder, about, evidence), folder, shown)))
    return kept
