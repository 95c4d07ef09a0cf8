"""The forms that an exported folder can have, and the few lines that open each without peftsearch.

The model card prints these lines, and the proof and the tests run them.
"""

from __future__ import annotations

from dataclasses import dataclass

from peftsearch.backbones.anatomy import anatomy_of_config
from peftsearch.backbones.heads import HEADS
from peftsearch.backbones.names import resolve
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.points import Point
from peftsearch.methods.adapterhub.base import own_format_lacks
from peftsearch.methods.table import ENCODER_METHODS, TEXT_METHODS

FOLDER = "DIR"
"""Stands in a loader for the folder."""

PIPELINE = """\
from transformers import pipeline

classify = pipeline("text-classification", "DIR", truncation=True)
"""

WITH_CODE = """\
from transformers import pipeline

# The folder brings its model class in modeling_text_classifier.py, which this runs.
classify = pipeline("text-classification", "DIR", truncation=True, trust_remote_code=True)
"""

PEFT_ADAPTER = """\
from peft import AutoPeftModelForSequenceClassification
from transformers import AutoConfig, AutoTokenizer, pipeline

names = AutoConfig.from_pretrained("DIR")
model = AutoPeftModelForSequenceClassification.from_pretrained(
    "DIR", id2label=names.id2label, label2id=names.label2id
)
tokenizer = AutoTokenizer.from_pretrained("DIR")
classify = pipeline("text-classification", model=model, tokenizer=tokenizer, truncation=True)
"""

ADAPTERHUB_ADAPTER = """\
import json
from pathlib import Path

import adapters
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer, pipeline

about = json.loads((Path("DIR") / "adapter_config.json").read_text(encoding="utf-8"))
model = AutoModelForSequenceClassification.from_pretrained(
    about["model_name"],
    revision=about.get("revision", "main"),
    config=AutoConfig.from_pretrained("DIR"),
    ignore_mismatched_sizes=True,  # a head that the backbone brings is replaced below
)
adapters.init(model)
model.load_adapter("DIR", set_active=True, use_safetensors=True)
tokenizer = AutoTokenizer.from_pretrained("DIR")
classify = pipeline("text-classification", model=model.eval(), tokenizer=tokenizer, truncation=True)
"""

TFIDF = """\
import sys

sys.path.insert(0, "DIR")
from predict_tfidf import load

classify = load("DIR")
"""


@dataclass(frozen=True)
class Form:
    """How a folder holds a classifier.

    Attributes:
        summary: a clause that says what opens the folder.
        loader: Python that makes `classify`, which takes a list of texts, or of mappings with `text` and `text_pair`.
        library: what must add its parameters to the encoder; None if transformers alone makes it.
        requires: the packages that the loader needs, as pip names them.
        hub_library: what the hub calls the library that opens it.
        backbone_key: what in `adapter_config.json` names the backbone; empty if the folder holds it.
    """

    summary: str
    loader: str
    library: str | None
    requires: tuple[str, ...]
    hub_library: str = "transformers"
    backbone_key: str = ""

    @property
    def adapter(self) -> bool:
        """Whether the folder lacks the backbone, which is read from elsewhere."""
        return bool(self.backbone_key)

    def loader_of(self, folder: str) -> str:
        """The loader for this folder."""
        return self.loader.replace(f'"{FOLDER}"', repr(folder))


FORMS: dict[str, Form] = {
    "architecture": Form(
        "transformers opens this folder as its architecture's own classifier",
        PIPELINE, None, ("torch", "transformers")),
    "own_head": Form(
        "transformers opens this folder with the model class in it", WITH_CODE, None, ("torch", "transformers")),
    "peft": Form(
        "transformers opens this folder with the model class in it, which needs PEFT",
        WITH_CODE, "peft", ("torch", "transformers", "peft")),
    "adapters": Form(
        "transformers opens this folder with the model class in it, which needs adapters",
        WITH_CODE, "adapters", ("torch", "transformers", "adapters")),
    "peft_adapter": Form(
        "PEFT opens this folder, which holds the adapter and the head",
        PEFT_ADAPTER, "peft", ("torch", "transformers", "peft"), "peft", "base_model_name_or_path"),
    "adapterhub_adapter": Form(
        "AdapterHub's adapters opens this folder, which holds the adapter and the head",
        ADAPTERHUB_ADAPTER, "adapters", ("torch", "transformers", "adapters"), "adapter-transformers", "model_name"),
    "tfidf": Form(
        "scikit-learn opens this folder with the Python file in it", TFIDF, None,
        ("numpy", "safetensors", "scikit-learn"), "sklearn"),
}  # fmt: skip
"""Name in `peftsearch.yaml` → form."""


ADAPTERS = {"peft": "peft_adapter", "adapters": "adapterhub_adapter"}
"""Library of a method → the form in which `--adapter` writes its trials."""


def form_of(config: TrialConfig, library: str | None = None) -> str:
    """The form in which a trial's classifier is exported: a key of `FORMS`.

    Args:
        library: which one has tuned the encoder, where that depends on the architecture.
    """
    if config.method in TEXT_METHODS:
        return "tfidf"
    method = ENCODER_METHODS[config.method]
    if not method.merges:
        return library or method.library
    return "architecture" if config.settings["head"] == "native" else "own_head"


def adapter_form_of(config: TrialConfig, point: Point) -> str:
    """The form in which `--adapter` exports a trial: a key of `FORMS`.

    Raises:
        UserError: the trial has no adapter, or its library's format cannot say the whole classifier.
    """
    method = ENCODER_METHODS.get(config.method)
    if method is None or method.library == "torch":
        raise UserError(f"--trial {point}: {config.method} adds no adapter to a backbone; leave out --adapter")
    head = config.settings["head"]
    if not HEADS[str(head)].native:
        raise UserError(
            f"--trial {point}: an adapter's folder cannot hold head: {head}; leave out --adapter, or choose a trial "
            "with head: native"
        )
    if method.changes_input:
        raise UserError(
            f"--trial {point}: with {method.name}, PEFT hands the head a virtual token's state, on which it was not "
            "trained; leave out --adapter"
        )
    anatomy = anatomy_of_config(resolve(config.backbone, config.revision).config())
    described = method.adapter(anatomy, config.settings)
    lacks = own_format_lacks(anatomy, described) if described["library"] == "adapters" else None
    if lacks:
        raise UserError(f"--trial {point}: {lacks}, so its own format cannot hold this trial; leave out --adapter")
    return ADAPTERS[described["library"]]
