"""Data sets of the Hugging Face hub, of its local cache, or of a local folder in the hub's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError, nearest, one_line
from peftsearch.core.packages import expanded
from peftsearch.data.base import Table
from peftsearch.data.read.files import Identity, Location
from peftsearch.data.read.saved import table_of
from peftsearch.data.split_names import assign_splits

if TYPE_CHECKING:
    from datasets import DatasetDict

    from peftsearch.data.section import DataSection


PATIENCE = 5.0
"""Seconds to wait until the hub answers a first request."""


def hub_identity(written: str, section: DataSection, folder: Path) -> Identity:
    """The content of a local folder. A data set on the hub is identified by its name only, because asking for its
    state needs a network."""
    name, _, _ = written.partition("#")
    local = Location(_candidates(name, folder)[0][0])
    files = local.identity().said if _is_local(name) else None
    return Identity([written, section.revision, files], known=files is not None)


def read_hub(name: str, section: DataSection, folder: Path) -> dict[str, Table]:
    """The rows of each split of `NAME` or `./FOLDER`, both also with `/CONFIG`. `HF_TOKEN` opens private data sets.

    `NAME#SPLIT` is one of its splits alone, for data sets whose splits have names of their own.

    Raises:
        UserError: there is no such data set, the hub cannot be reached, or it is not clear which split is which.
    """
    name, _, only = name.partition("#")
    found = _load(name, section.revision, folder)
    if only:
        if only not in found:
            raise UserError(f"data.source: hub:{name} has no split {only!r}; {nearest(only, found)}")
        return {"train": table_of(f"hub:{name}, {only}", found[only], section.wanted_columns)}
    splits = assign_splits(list(found))
    if "train" not in splits.chosen or splits.rivals:
        raise UserError(
            f"data.source: hub:{name} has the splits {', '.join(found)}; say which is which: "
            f"source: {{train: hub:{name}#SPLIT, test: hub:{name}#SPLIT}}"
        )
    return {
        split: table_of(
            f"hub:{name}, {own}", found[own], section.wanted_columns, splits.notes if split == "train" else ()
        )
        for split, own in splits.chosen.items()
    }


def _is_local(name: str) -> bool:
    return name.startswith((".", "/", "~"))


def _candidates(name: str, folder: Path) -> list[tuple[str, str | None]]:
    """What `name` may mean, the likeliest first: `a/b` is an owner's data set, or a data set and its configuration."""
    owner, _, last = name.rpartition("/")
    if not _is_local(name):
        return [(name, None)] * (name.count("/") < 2) + [(owner, last)] * ("/" in name)
    path = Path(folder, expanded(name))
    found = [(str(at), config) for at, config in ((path, None), (path.parent, last)) if at.is_dir()]
    # A folder that is not there has a parent too, which is a data set only if it holds a data set's card.
    if not found or (found[0][1] and not (path.parent / "README.md").is_file()):
        raise UserError(f"data.source: no folder {name!r} in {folder.resolve()}")
    return found[:1]


def _load(name: str, revision: str | None, folder: Path) -> DatasetDict:
    import datasets

    datasets.disable_progress_bars()
    candidates = _candidates(name, folder)
    if not _is_local(name) and not _reachable():
        # Online, datasets 4.8 retries each request for half a minute, with warnings, before it looks into its cache.
        datasets.config.HF_HUB_OFFLINE = True
    failures: list[Exception] = []
    for path, config in candidates:
        try:
            return datasets.load_dataset(path, config, revision=revision)
        except (OSError, ValueError, RuntimeError) as error:
            failures.append(error)
    raise UserError(_why(name, failures)) from failures[-1]


def _reachable() -> bool:
    import requests
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except (requests.RequestException, OSError):
        return False
    return True


def _why(name: str, failures: list[Exception]) -> str:
    from datasets.exceptions import DataFilesNotFoundError, DatasetNotFoundError

    instead = "name local files: source: {train: FILE, test: FILE}"
    configs = next((str(e) for e in failures if "Config name is missing" in str(e)), None)
    if configs:
        return f"data.source: hub:{name} needs a configuration, hub:{name}/CONFIG; {one_line(configs)}"
    if any(isinstance(e, ConnectionError) or "offline" in str(e).lower() for e in failures):
        return f"data.source: the hub cannot be reached for hub:{name}, and it is not in the cache; {instead}"
    if all(isinstance(e, DatasetNotFoundError | DataFilesNotFoundError | FileNotFoundError) for e in failures):
        return f"data.source: no data set hub:{name}, or it is private and HF_TOKEN is not set; {instead}"
    return f"data.source: hub:{name} cannot be loaded ({one_line(failures[-1])}); {instead}"
