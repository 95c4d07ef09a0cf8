"""What an export says of itself in `peftsearch.yaml`, and whether its other files are undamaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.core.files.checksums import SUMS, damaged_files
from peftsearch.core.measurement import Measurement
from peftsearch.export.standard.forms import FORMS
from peftsearch.methods.table import METHODS

FORMAT = "peftsearch-classifier-2"
ABOUT, CARD = "peftsearch.yaml", "README.md"

FOR_PEOPLE = frozenset({ABOUT, CARD, SUMS, "adapter_config.json"})
"""Files that people may change: the first is checked by what it says, and the last one says where a backbone is."""

EARLIER = "config.yaml"
"""What an export of an earlier version said of itself."""


@dataclass(frozen=True)
class Description:
    """An export's `peftsearch.yaml`.

    Attributes:
        form: how the folder holds the classifier: a key of `FORMS`.
        labels: the classes' names, by index.
        text: the column that held the texts in training; a list of two for pairs.
        strip: whether training took white space off both ends of a text.
    """

    form: str
    config: TrialConfig
    labels: tuple[str, ...]
    text: str | list[str]
    strip: bool = False


def read_description(folder: Path) -> Description:
    """What the export in `folder` says of itself.

    Raises:
        UserError: it is not an export, of another version, or a file of it is damaged.
    """
    described = _read_config(folder)
    damaged = next((name for name in damaged_files(folder) if name not in FOR_PEOPLE), None)
    if damaged:
        raise UserError(f"{folder / damaged} is damaged, or was changed after the export; export the trial again")
    config, form = TrialConfig.from_dict(described["config"]), described["form"]
    if config.method not in METHODS:
        raise UserError(f"{folder / ABOUT}: this version of peftsearch has no method {config.method!r}; update it")
    labels, text = _labels(described.get("labels"), folder / ABOUT), described.get("text") or "text"
    return Description(form, config, labels, text, described.get("strip") is True)


def _read_config(folder: Path) -> Mapping[str, Any]:
    import yaml

    file = folder / ABOUT
    if not file.is_file() and (folder / EARLIER).is_file():
        file = folder / EARLIER
    if not file.is_file():
        raise UserError(
            f"{folder}: is no exported classifier; make one with: peftsearch export --study NAME --out {folder}"
        )
    damaged = UserError(f"{file} is damaged; export the trial again")
    try:
        described = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (ValueError, yaml.YAMLError, RecursionError):
        raise damaged from None
    if not isinstance(described, Mapping) or "format" not in described:
        raise damaged
    if described["format"] != FORMAT:
        raise UserError(
            f"{file}: its format is {described['format']!r}, and this version of peftsearch reads {FORMAT!r} only; "
            "load it with the version that wrote it, or export the trial again"
        )
    try:
        TrialConfig.from_dict(described["config"])
        Measurement.from_dict(described["measurement"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged from None
    if described.get("form") not in FORMS or not _is_text(described.get("text")):
        raise damaged
    return described


def _is_text(text: object) -> bool:
    """Whether this can be `data.text` of a study: a column, or two of them; nothing in old exports."""
    columns = [text] if isinstance(text, str) else text
    return text is None or (
        isinstance(columns, list) and 1 <= len(columns) <= 2 and all(isinstance(column, str) for column in columns)
    )


def _labels(labels: object, file: Path) -> tuple[str, ...]:
    if not isinstance(labels, list) or len(labels) < 2 or not all(isinstance(label, str) for label in labels):
        raise UserError(f"{file} must list the classes' names as labels; export the trial again")
    if len(set(labels)) < len(labels):
        twice = next(label for place, label in enumerate(labels) if label in labels[:place])
        raise UserError(f"{file} names the class {twice!r} twice; export the trial again")
    return tuple(labels)
