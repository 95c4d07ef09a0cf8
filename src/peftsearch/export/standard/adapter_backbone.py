"""The backbone of a folder that holds an adapter alone: how its `adapter_config.json` names it, and where that is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.backbones.loading import resolve
from peftsearch.backbones.names import hub_name
from peftsearch.backbones.safe_config import read_json
from peftsearch.core.errors import UserError

if TYPE_CHECKING:
    from peftsearch.backbones.loading import ResolvedModel

CONFIG = "adapter_config.json"
"""What PEFT and AdapterHub both call an adapter's configuration."""


def named(resolved: ResolvedModel) -> str:
    """The backbone's name on the hub, or else its absolute path on this machine."""
    return hub_name(resolved.name) or str(Path(resolved.path).resolve())


def backbone_of(folder: Path, key: str) -> ResolvedModel:
    """The backbone that stands under `key` in the configuration of the adapter in `folder`.

    Raises:
        UserError: it is not found.
    """
    described = read_json(str(folder), folder / CONFIG)
    name, revision = described.get(key), described.get("revision")
    try:
        return resolve(str(name), revision if isinstance(revision, str) else None)
    except UserError as error:
        raise UserError(f"{folder} holds an adapter, whose backbone is not found: {error}") from error
