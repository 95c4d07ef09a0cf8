"""A trained classifier as a folder that needs neither the study nor its storage, nor peftsearch.

config.json, model.safetensors, tokenizer files   as transformers reads them
modeling_text_classifier.py   where the architecture's own classifier cannot express the trained one: its model class
adapter_model.safetensors, adapter_config.json   of an adapter, instead of model.safetensors
terms.json, trainable.safetensors, predict_tfidf.py   of a method without a backbone, instead of all of the above
peftsearch.yaml    the exported trial: form, labels, configuration, measurement, study and text columns
README.md          the model card
onnx/              where it is wanted: the classifier for onnxruntime, and the same in 8 bits
front.png          the picture in it, if the study has several finished trials
checksums.json     of all these files: what export wrote, and whether it is as it was
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.names import public_name
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.data.load import open_prepared
from peftsearch.export.card.evidence import Evidence, evidence_of
from peftsearch.export.card.how_to_load import how_to_load
from peftsearch.export.card.model_card import write_card
from peftsearch.export.description import ABOUT, FORMAT
from peftsearch.export.onnx.write import check_method, write_onnx
from peftsearch.export.plainer import plainer_trial
from peftsearch.export.proof import prove, rows_of_study
from peftsearch.export.retrain import no_weights
from peftsearch.export.standard.folder import write_standard
from peftsearch.export.standard.forms import adapter_form_of
from peftsearch.export.target import check_out, written_whole
from peftsearch.results.checkpoints import checkpoint_of, fetched
from peftsearch.storage.kept.front_checkpoints import checkpoint_problem
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from peftsearch.core.points import Point
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record


def write_export(
    stored: StoredStudy,
    trial: int | str | Point,
    out: Path,
    retrain: Callable[[Point], None] | None = None,
    *,
    overwrite: bool = False,
    adapter: bool = False,
    onnx: bool = False,
    int8: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Checkpoint:
    """Write the classifier of a trial to the folder `out`, and prove that it labels the same without peftsearch.

    Args:
        stored: the study.
        trial: a number, an epoch of a trial as `7@3`, or `best`: the point on the front with the best quality.
        out: a new or empty folder.
        retrain: trains the point again and saves its checkpoint; called if that is missing or damaged.
        overwrite: whether `out` may be an earlier export, which is replaced.
        adapter: leave out the backbone, and write the folder in the format of the library that has tuned it.
        onnx: write the classifier for onnxruntime, too, and prove that it labels the same.
        int8: with `onnx`, write it with weights of 8 bits, too.
        say: called with what the proof has found, and with what is worth knowing besides.

    Raises:
        UserError: no trial has finished, its checkpoint is missing or damaged, `out` is not empty, the trial cannot
            be written as an adapter, or the folder would not label as the trial does.
    """
    check_out(out, overwrite)
    record = stored.trial(trial)
    if adapter and record.config is not None:  # before a trial is trained again
        adapter_form_of(record.config, record.point)
    try:
        kept = _checkpoint(stored, record, say)
    except UserError:
        if retrain is None or record.state == "pruned":
            raise
        retrain(record.point)
        kept = _checkpoint(stored, record, say)
    if onnx:
        check_method(kept)
    with written_whole(out, overwrite) as folder:
        about = {"study": stored.name, "trial": kept.number, "epoch": kept.epoch, **stored.about.to_dict()}
        evidence = evidence_of(stored, kept)
        form = write_files(kept, folder, about, evidence, adapter)
        say(str(prove(kept, form, folder, rows_of_study(stored.folder, kept))))
        plainer = None if adapter else plainer_trial(kept, evidence)
        if plainer:
            say(plainer)
        if onnx:
            data = open_prepared(stored.folder, kept.measurement.data_fingerprint)
            write_onnx(kept, folder, data and data.splits["validation"], int8, say)
    return kept


def _published(config: TrialConfig) -> TrialConfig:
    """The configuration without the folders of this machine, in which its backbone and tokenizer may lie."""
    tokenizer = public_name(config.tokenizer) if config.tokenizer else None
    return replace(config, backbone=public_name(config.backbone), tokenizer=tokenizer)


def _checkpoint(stored: StoredStudy, record: Record, say: Callable[[str], None]) -> Checkpoint:
    weights = stored.folder.weights
    folder = fetched(stored.study, record, weights, say) or weights / str(record.point)
    problem = checkpoint_problem(folder)
    if problem:
        raise UserError(no_weights(stored, record, problem))
    return checkpoint_of(record, weights)


def write_files(
    kept: Checkpoint,
    folder: Path,
    about: Mapping[str, Any],
    evidence: Evidence | None = None,
    adapter: bool = False,
) -> str:
    """Write every file of an export into `folder`.

    Args:
        about: what is known of the study: its name as `study`, the number of the `trial`, its `epoch`, and
            `goal` and `data`.
        evidence: what the model card says of quality besides the checkpoint's own measurement.
        adapter: as for `write_export`.

    Returns:
        The form of the folder: a key of `FORMS`.
    """
    import yaml

    form, data = write_standard(kept, folder, adapter), about.get("data") or {}
    described = {
        "format": FORMAT,
        "form": form,
        "study": about.get("study"),
        "trial": about.get("trial"),
        "epoch": about.get("epoch"),
        "labels": list(kept.labels),
        "text": data.get("text"),
        "strip": data.get("strip", False),
        "config": _published(kept.config).to_dict(),
        "measurement": kept.measurement.to_dict(),
    }
    (folder / ABOUT).write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")
    how = how_to_load(form, data.get("text") or "text", kept.config.backbone)
    write_card(folder, kept, about, how, evidence)
    return form
