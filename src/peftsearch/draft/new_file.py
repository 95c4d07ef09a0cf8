"""Puts a new study's file where a person, or a later command, looks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from peftsearch.core.calls.arguments import checked
from peftsearch.core.errors import UserError
from peftsearch.core.files.disk import check_writable, writing_to
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.draft.make import Draft, Wishes, draft_study, study_name
from peftsearch.draft.presets import DEFAULT_EFFORT
from peftsearch.study.catalogue import folders, list_studies


@checked
def init_study(
    source: str | Path | Mapping[str, str],
    out: str | Path | None = None,
    *,
    text: str | Sequence[str] = (),
    label: str | None = None,
    backbones: Sequence[str] = (),
    effort: str = DEFAULT_EFFORT,
    overwrite: bool = False,
) -> Draft:
    """Make a study file from a file of labelled texts, with comments on every key. Trains nothing.

    Args:
        source: a file, a folder or a URL; or one for each split. Rows of a test split are not looked at.
        out: the study file to write; by default `studies/NAME.yaml`, named like the source.
        text: the column of the text, or two of these for pairs; by default it is guessed.
        label: the column of the class; by default it is guessed.
        backbones: the encoders to tune; by default one that a CPU can train.
        effort: `quick`, `balanced` or `thorough`: how many methods, epochs and rows.
        overwrite: replace a file that is there already.

    Returns:
        What was written and where, what was found in the source, and warnings about it.

    Raises:
        UserError: the source cannot be read, no study can be made of it, or the file is there already.

    Examples:
        >>> made = init_study("rows.jsonl", "studies/mine.yaml", effort="quick")
        >>> made.name, made.found[2]
        ('mine', "label: 'label' (its name is usual for classes)")
    """
    files = {split: str(file) for split, file in source.items()} if isinstance(source, Mapping) else None
    files = files or {"train": str(source)}
    packaged = [path.stem for path in folders()[-1].glob("*.yaml")]
    name = study_name(Path(out).name) if out else study_name(files["train"], packaged)
    path = Path(out) if out else folders()[0] / f"{name}.yaml"
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already; search it with --study {path}, or name another file with --out")
    wishes = Wishes((text,) if isinstance(text, str) else tuple(text), label, tuple(backbones), effort)
    draft = draft_study(files, name, path, wishes)
    _write(draft)
    return draft


def kept_study(source: Mapping[str, str], wishes: Wishes, name: str | None = None) -> Draft:
    """Make a study from files of labelled texts, and keep its file beside its trials, where its name finds it.

    Args:
        source: a file for each split, or only `train`.
        wishes: what is not to be guessed.
        name: the study's name; by default the file's.

    Raises:
        UserError: as for `init_study`, or another study was kept under this name.
    """
    name = name or study_name(source["train"], [known for known, _, _ in list_studies()])
    draft = draft_study(source, name, RunFolder.of(name).study_file, wishes)
    if not draft.path.exists():
        _write(draft)
    elif draft.path.read_text(encoding="utf-8") != draft.text:
        raise UserError(
            f"{draft.path} differs from what would be made of this file now; "
            f"go on with it by --study {name} instead of --data, or begin another study with --fork NEW_NAME"
        )
    return draft


def _write(draft: Draft) -> None:
    check_writable(draft.path.parent)
    with writing_to(draft.path.parent):
        draft.path.write_text(draft.text, encoding="utf-8")
