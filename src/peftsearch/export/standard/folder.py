"""Writes a classifier as a folder that transformers opens, or scikit-learn if it has no backbone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.heads import HEADS
from peftsearch.backbones.safe_config import CONFIG, OWN_HEAD
from peftsearch.core.errors import UserError
from peftsearch.export.standard.forms import FORMS, adapter_form_of, form_of
from peftsearch.export.standard.modeling import AUTO_MAP, CODE, modeling_code, source_of
from peftsearch.export.standard.tensors import WEIGHTS, tensors_of
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS
from peftsearch.methods.tfidf import TERMS
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from peftsearch.backbones.classifier import Classifier
    from peftsearch.backbones.loading import ResolvedModel

PREDICT_TFIDF = "predict_tfidf.py"

OF_OTHER_WEIGHTS = frozenset(
    {"_name_or_path", "architectures", "auto_map", "dtype", "torch_dtype", "transformers_version"}
)
"""Keys of a backbone's `config.json` that are not true of a classifier made of it."""


def write_standard(kept: Checkpoint, folder: Path, adapter: bool = False) -> str:
    """Write a trial's classifier into `folder`, and return the form that it has: a key of `FORMS`.

    Args:
        adapter: without its backbone, in the format of the library that has tuned it.

    Raises:
        UserError: the backbone brings its own code, the checkpoint is damaged, or there is no such format.
    """
    if adapter:
        return _write_adapter(kept, folder)
    if kept.config.method in TEXT_METHODS:
        return _write_text_model(kept, folder)
    return _write_encoder(kept, folder)


def _write_encoder(kept: Checkpoint, folder: Path) -> str:
    from safetensors.torch import save_file

    from peftsearch.backbones.loading import resolve, tokenizer_of

    config, method = kept.config, ENCODER_METHODS[kept.config.method]
    _check_no_code(kept)
    resolved, classifier = resolve(config.backbone, config.revision), kept.classifier()
    described = None if method.merges else method.adapter(anatomy_of_config(resolved.config()), config.settings)
    form = form_of(config, described["library"] if described else None)
    if method.merges:
        merged = method.merged(classifier.encoder)
        assert merged is not None, f"{method.name} merges"
        classifier.encoder = merged
    own = _of_encoder(resolved)
    if form == "architecture":
        head: Any = classifier.head
        config_json = {**own, "architectures": [type(head.model).__name__]}
    else:
        config_json = {**_own_head(kept, classifier), "encoder": own, "adapter": described}
        (folder / CODE).write_text(modeling_code(FORMS[form].library), encoding="utf-8")
    _write_json({**config_json, **_classes(kept.labels)}, folder / CONFIG)
    tensors = tensors_of(classifier, form == "architecture")
    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    save_file(contiguous, folder / WEIGHTS, metadata={"format": "pt"})  # transformers asks for the format
    _save_tokenizer(tokenizer_of(config, resolved), classifier, config.max_length, folder)
    return form


def _write_adapter(kept: Checkpoint, folder: Path) -> str:
    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.export.standard.adapterhub_adapter import write_adapterhub_adapter
    from peftsearch.export.standard.peft_adapter import write_peft_adapter

    config, form = kept.config, adapter_form_of(kept.config, kept.point)
    _check_no_code(kept)
    resolved, classifier = resolve(config.backbone, config.revision), kept.classifier()
    write = {"peft_adapter": write_peft_adapter, "adapterhub_adapter": write_adapterhub_adapter}[form]
    write(classifier, resolved, config, kept.labels, folder)
    head: Any = classifier.head
    config_json = {**_of_encoder(resolved), "architectures": [type(head.model).__name__], **_classes(kept.labels)}
    _write_json(config_json, folder / CONFIG)  # for the names of the classes
    _save_tokenizer(tokenizer_of(config, resolved), classifier, config.max_length, folder)
    return form


def _check_no_code(kept: Checkpoint) -> None:
    if kept.config.trust_remote_code:
        raise UserError(
            f"--trial {kept.point}: its backbone {kept.config.backbone!r} brings its own code, which an exported "
            "folder cannot hold; choose a trial with another backbone"
        )


def _of_encoder(resolved: ResolvedModel) -> dict[str, Any]:
    """What the backbone's own `config.json` says, without what is of other weights."""
    from transformers import __version__

    found = resolved.config()
    changes = FAMILIES[found["model_type"]].config_changes
    kept = {name: value for name, value in found.items() if name not in OF_OTHER_WEIGHTS}
    return {**kept, **changes, "dtype": "float32", "transformers_version": __version__}


def _own_head(kept: Checkpoint, classifier: Classifier) -> dict[str, Any]:
    """The configuration of `hub_model.TextEncoderClassifier`, without its encoder."""
    settings = kept.config.settings
    native = HEADS[str(settings["head"])].native
    return {
        "model_type": OWN_HEAD,
        "architectures": [AUTO_MAP["AutoModelForSequenceClassification"].split(".")[1]],
        "auto_map": AUTO_MAP,
        # An encoder with an optional pooler was loaded without one.
        "encoder_options": {} if native or not _lacks_pooler(classifier) else {"add_pooling_layer": False},
        "head": settings["head"],
        "pooling": settings["pooling"],
        "head_dropout": settings["head_dropout"],
        "takes_token_types": classifier.takes_token_types,
        "dtype": "float32",
    }


def _lacks_pooler(classifier: Classifier) -> bool:
    """Whether the encoder's class has an optional pooler, which `loading` leaves out."""
    from peftsearch.backbones.loading import has_optional_pooler

    base: Any = classifier.encoder
    get_base = getattr(base, "get_base_model", None)  # of PEFT's wrapper
    # AdapterHub derives a class of its own from the architecture's.
    return any(has_optional_pooler(kind) for kind in type(get_base() if get_base else base).__mro__)


def _classes(labels: Sequence[str]) -> dict[str, Any]:
    return {
        "id2label": {str(number): label for number, label in enumerate(labels)},
        "label2id": {label: number for number, label in enumerate(labels)},
        "problem_type": "single_label_classification",
    }


def _write_json(content: dict[str, Any], file: Path) -> None:
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _save_tokenizer(tokenizer: PreTrainedTokenizerBase, classifier: Classifier, max_length: int, folder: Path) -> None:
    """Write the tokenizer so that it makes, wherever it is loaded, the inputs that the classifier was trained on."""
    takes = [name for name in tokenizer.model_input_names if name != "token_type_ids" or classifier.takes_token_types]
    tokenizer.model_max_length, tokenizer.model_input_names = max_length, takes
    tokenizer.init_kwargs["model_input_names"] = takes  # otherwise transformers writes those of the tokenizer's class
    tokenizer.save_pretrained(folder)


def _write_text_model(kept: Checkpoint, folder: Path) -> str:
    TEXT_METHODS[kept.config.method].read(kept.folder).save(folder)
    about = json.loads((folder / TERMS).read_text(encoding="utf-8"))
    _write_json({"labels": list(kept.labels), **about}, folder / TERMS)
    code = source_of("peftsearch.export.standard.predict_tfidf")
    (folder / PREDICT_TFIDF).write_text(code, encoding="utf-8")
    return form_of(kept.config)
