"""Finds study files: by name in `./studies` and among the package's own studies, or by their path."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import peftsearch
from peftsearch.core.errors import UserError, nearest
from peftsearch.core.files.run_folder import STUDY_NAME, RunFolder
from peftsearch.core.packages import expanded
from peftsearch.data.read.files import FORMATS
from peftsearch.data.read.packing import PACKINGS
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.yaml_file import read_document

SUFFIXES = (".yaml", ".yml")


def folders() -> tuple[Path, Path]:
    """The folders in which `--study NAME` looks, in this order: `./studies`, then the package's own studies.

    An installed wheel holds the package's studies as `peftsearch/studies`. In a checkout of the repository they stand
    in its top-level folder `studies/`, and an editable install reads them there.
    """
    package = Path(peftsearch.__file__).parent
    installed = package / "studies"
    return Path("studies"), installed if installed.is_dir() else package.parents[1] / "studies"


def displayed(path: Path) -> str:
    """The path as messages write it: the file's name for a study of the package, else the shorter of its paths."""
    if path.parent == folders()[-1]:
        return path.name
    return min(str(path), os.path.relpath(path), key=len)


def list_studies() -> list[tuple[str, str, Path]]:
    """List every study that can be named.

    Returns:
        Name, goal and path of each study, sorted by name. The name is the file's, without its suffix.

    Examples:
        >>> "quickstart" in [name for name, goal, path in list_studies()]
        True
    """
    return [(name, _goal(path), path) for name, path in sorted(study_files().items())]


def find_study(name_or_path: str) -> Path:
    """The file of a study. A study that `optimize` has made from a file of texts is found by its name too.

    Raises:
        UserError: there is no such study; the message suggests the nearest name and lists all.
    """
    named = study_files()
    if not name_or_path.strip():
        raise UserError(f"the name of the study is empty; studies: {', '.join(sorted(named))}")
    if name_or_path in named:
        return named[name_or_path]
    path = expanded(name_or_path)
    if path.is_file():
        _check_is_no_data(path)
        return path
    if STUDY_NAME.fullmatch(name_or_path) and (made := RunFolder.of(name_or_path).study_file).is_file():
        return made
    if path.is_dir():
        raise UserError(_in_folder(path, name_or_path))
    if (meant := _meant(path)) is not None:
        raise UserError(f"no study {name_or_path!r}; did you mean the file {meant}?")
    if path.suffix in SUFFIXES or len(path.parts) > 1:
        raise UserError(f"no study file {name_or_path!r}; give the path of a YAML file or a name: {', '.join(named)}")
    hint = nearest(name_or_path, named)
    guess = f" {hint}" if hint.startswith("did you mean") else ""
    raise UserError(f"no study named {name_or_path!r};{guess} studies: {', '.join(sorted(named))}")


def _check_is_no_data(path: Path) -> None:
    """Refuse a table of texts, which is not read as YAML. Text and JSON may be YAML."""
    ending = path.suffix.lower()
    if ending in PACKINGS or (ending in FORMATS and ending not in (".txt", ".json")):
        raise UserError(
            f"{path} holds texts and is no study file; search it with: peftsearch optimize --data {path}, "
            f"or make a study file with: peftsearch init {path}"
        )
    if path.suffix == ".db":
        raise UserError(f"{path} holds trials and is no study file; name the study, here {path.stem}")


def _meant(path: Path) -> Path | None:
    """The study file whose path differs by its ending only, or looks much like `path`, which is not there."""
    near = {file.name: file for file in sorted(path.parent.glob("*")) if file.suffix in SUFFIXES}
    endings = (name for suffix in SUFFIXES for name in (path.name + suffix, path.stem + suffix))
    close = difflib.get_close_matches(path.name, near, n=1, cutoff=0.8) if path.suffix else []
    return next((near[name] for name in (*endings, *close) if name in near), None)


def _in_folder(path: Path, written: str) -> str:
    """What to name in place of a folder."""
    if RunFolder(path).database.is_file():
        return f"{written} is a folder of results and no study file; name the study, here {path.absolute().name}"
    files = [path / file.name for file in sorted(path.glob("*")) if file.suffix in SUFFIXES]
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    held = f"name one of its files: {', '.join(map(str, files[:5]))}{more}" if files else "it holds no YAML file"
    return f"{written} is a folder and no study file; {held}"


def study_files() -> dict[str, Path]:
    """The file of each study that `--study` finds by its name, by that name."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*")):
            if path.suffix in SUFFIXES:
                found.setdefault(path.stem, path)
    return found


def _goal(path: Path) -> str:
    try:
        document = read_document(path, Problems(path.name))
    except UserError as error:
        return f"cannot be read: {error}"
    return str(document.get("goal", "")) if isinstance(document, dict) else ""
