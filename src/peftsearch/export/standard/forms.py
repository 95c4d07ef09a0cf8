"""The forms that an exported folder can have, and the few lines that open each without peftsearch.

The model card prints these lines, and the proof and the tests run them.
"""

from __future__ import annotations

from dataclasses import dataclass

from peftsearch.core.config import TrialConfig
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
    """

    summary: str
    loader: str
    library: str | None
    requires: tuple[str, ...]

    @property
    def hub_library(self) -> str:
        """What the hub calls the library that opens it."""
        return "transformers" if "transformers" in self.requires else "sklearn"

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
    "tfidf": Form(
        "scikit-learn opens this folder with the Python file in it", TFIDF, None,
        ("numpy", "safetensors", "scikit-learn")),
}  # fmt: skip
"""Name in `peftsearch.yaml` → form."""


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
