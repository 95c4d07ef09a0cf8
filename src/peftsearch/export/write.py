"""A trained classifier as a folder that needs neither the study nor its storage.

config.yaml        the exported trial: configuration, measurement, study and text columns
labels.json        class names, by index
tokenizer/         as transformers saves it
head.safetensors   pooling has no weights: the head's alone
backbone/          the fine-tuned encoder, if any of its own tensors moved; `AutoModel.from_pretrained` reads it
adapter/           else, for PEFT and AdapterHub methods: the adapter in that library's format
model/             of a method without a backbone, instead of all of the above
README.md          the model card
front.png          the picture in it, if the study has several finished trials
checksums.json     of all these files: what export wrote, and whether it is as it was
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError
from peftsearch.export.card.evidence import Evidence, evidence_of
from peftsearch.export.card.how_to_load import with_peftsearch
from peftsearch.export.card.model_card import write_card
from peftsearch.export.description import CONFIG, FORMAT, LABELS
from peftsearch.export.retrain import no_weights
from peftsearch.export.target import check_out, written_whole
from peftsearch.methods.base import EncoderMethod, Library
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS
from peftsearch.storage.front_checkpoints import checkpoint_problem
from peftsearch.training.checkpoint import Checkpoint, read_checkpoint

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.names import ResolvedModel
    from peftsearch.results.stored_study import StoredStudy

TOKENIZER, HEAD, BACKBONE, ADAPTER, MODEL = "tokenizer", "head.safetensors", "backbone", "adapter", "model"


def write_export(
    stored: StoredStudy,
    trial: int | str,
    out: Path,
    retrain: Callable[[int], None] | None = None,
    *,
    overwrite: bool = False,
) -> Checkpoint:
    """Write the classifier of a trial to the folder `out`.

    Args:
        stored: the study.
        trial: a number, or `best`: the trial on the front with the best quality.
        out: a new or empty folder.
        retrain: trains the trial with this number again and saves its checkpoint; called if that is missing or damaged.
        overwrite: whether `out` may be an earlier export, which is replaced.

    Raises:
        UserError: no trial has finished, its checkpoint is missing or damaged, or `out` is not empty.
    """
    check_out(out, overwrite)
    number = stored.number(trial)
    try:
        kept = _checkpoint(stored, number)
    except UserError:
        if retrain is None or stored.trial(number).state == "pruned":
            raise
        retrain(number)
        kept = _checkpoint(stored, number)
    with written_whole(out, overwrite) as folder:
        write_files(kept, folder, {"study": stored.name, **stored.about.to_dict()}, evidence_of(stored, kept))
    return kept


def _checkpoint(stored: StoredStudy, number: int) -> Checkpoint:
    problem = checkpoint_problem(stored.folder.weights / str(number))
    if problem:
        raise UserError(no_weights(stored, stored.trial(number), problem))
    return read_checkpoint(stored.folder.weights, number)


def write_files(kept: Checkpoint, folder: Path, about: Mapping[str, Any], evidence: Evidence | None = None) -> None:
    """Write every file of an export into `folder`.

    Args:
        about: what is known of the study: its name as `study`, and `goal` and `data`.
        evidence: what the model card says of quality besides the checkpoint's own measurement.
    """
    import yaml

    config, backbone = kept.config, kept.config.backbone
    if config.method in TEXT_METHODS:
        TEXT_METHODS[config.method].read(kept.folder).save(folder / MODEL)
    else:
        backbone = _write_classifier(kept, ENCODER_METHODS[config.method], folder)
    (folder / LABELS).write_text(json.dumps(list(kept.labels), indent=2, ensure_ascii=False), encoding="utf-8")
    described = {
        "format": FORMAT,
        "study": about.get("study"),
        "trial": kept.number,
        "text": about.get("data", {}).get("text"),
        "strip": about.get("data", {}).get("strip", False),
        "config": {**config.to_dict(), "backbone": backbone},
        "measurement": kept.measurement.to_dict(),
    }
    (folder / CONFIG).write_text(yaml.safe_dump(described, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_card(folder, kept, about, with_peftsearch(about.get("data", {}).get("text") or "text"), evidence)


def _write_classifier(kept: Checkpoint, method: EncoderMethod, folder: Path) -> str:
    """Write head, encoder and tokenizer, and return the backbone's name."""
    from safetensors.torch import save_file

    from peftsearch.backbones.loading import resolve, tokenizer_of

    config, classifier = kept.config, kept.classifier()
    resolved = resolve(config.backbone, config.revision, config.trust_remote_code)
    head = {name: tensor.detach().contiguous() for name, tensor in classifier.head.named_parameters()}
    save_file(head, folder / HEAD)
    EXPORTERS[method.library](classifier, method, folder)
    tokenizer_of(config, resolved).save_pretrained(folder / TOKENIZER)
    return _where(resolved)


def _where(resolved: ResolvedModel) -> str:
    """The backbone's name as the export may be loaded from anywhere: the name of a local folder becomes absolute."""
    return str(Path(resolved.path).resolve()) if resolved.kind == "folder" else resolved.name


def _weights(classifier: Classifier, method: EncoderMethod, folder: Path) -> None:
    """Write the encoder with all its weights, unless training left all of them as they were."""
    if any(parameter.requires_grad for parameter in classifier.encoder.parameters()):
        encoder: Any = method.merged(classifier.encoder)
        encoder.save_pretrained(folder / BACKBONE, safe_serialization=True)


def _adapter(classifier: Classifier, method: EncoderMethod, folder: Path) -> None:
    method.save(classifier.encoder, folder / ADAPTER)


EXPORTERS: dict[Library, Callable[[Classifier, EncoderMethod, Path], None]] = {
    "torch": _weights,
    "peft": _adapter,
    "adapters": _adapter,
}
