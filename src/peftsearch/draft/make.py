"""Makes a study from a file of labelled texts: looks at it, guesses its columns, and chooses what fits its rows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from peftsearch.core.errors import UserError, nearest, shown
from peftsearch.core.escaping import on_one_line
from peftsearch.core.packages import expanded
from peftsearch.data.base import LabelledRows, Table
from peftsearch.data.columns import without_header
from peftsearch.data.read.files import is_url, locate, read_location
from peftsearch.data.read.formats import Request
from peftsearch.data.section import DataSection
from peftsearch.data.shaping import shape
from peftsearch.draft.columns import Column, check_name, label_column, text_column
from peftsearch.draft.findings import Classes, classes_of, warnings_of
from peftsearch.draft.fitting import unfit_methods
from peftsearch.draft.presets import DEFAULT_EFFORT, EFFORTS, Effort
from peftsearch.draft.tokens import TokenFit, token_fit
from peftsearch.draft.write import Content, study_text

BACKBONE = "sentence-transformers/all-MiniLM-L6-v2"
"""The encoder of a new study that names none: small enough for a CPU, and on PyPI with peftsearch[quickstart]."""

GIVEN = "as you named it"
SHARE_TO_TRAIN = 0.65
"""The share of the rows that are trained on where the file is cut into splits."""

USUAL_LENGTH = 128


@dataclass(frozen=True)
class Wishes:
    """What a person says about a new study; what is left out is guessed.

    Attributes:
        text: the column of the text, or two of these for pairs.
        label: the column of the class.
        backbones: the encoders to tune.
        effort: a preset's name.
        limit: the most rows of a split.
    """

    text: Sequence[str] = ()
    label: str | None = None
    backbones: Sequence[str] = ()
    effort: str = DEFAULT_EFFORT
    limit: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Draft:
    """A new study.

    Attributes:
        name: its name.
        path: where its file stands, or will stand.
        text: what the file says.
        found: what was found in the file and chosen for it, a line each.
        warnings: what a person should look at, a line each.
    """

    name: str
    path: Path
    text: str
    found: tuple[str, ...]
    warnings: tuple[str, ...]


def draft_study(source: Mapping[str, str], name: str, path: Path, wishes: Wishes) -> Draft:
    """Make a study of labelled texts.

    Only the rows of `train` are looked at. No row of a file for `test` is read.

    Args:
        source: a file, folder or URL for each split; only `train` if it holds all rows.
        name: the study's name.
        path: the study file, which is not written; the paths in it are relative to its folder.
        wishes: what is not to be guessed.

    Raises:
        UserError: the file cannot be read, or no study can be made of it; the message says what to name.
    """
    if wishes.effort not in EFFORTS:
        raise UserError(f"no effort {wishes.effort!r}; {nearest(wishes.effort, EFFORTS)}")
    effort = EFFORTS[wishes.effort]
    seen = _look(source, wishes)
    backbones = tuple(wishes.backbones) or (BACKBONE,)
    fits = {name: fit for name in backbones if (fit := token_fit(name, _documents(seen.rows))) is not None}
    length = _length(list(fits.values()), effort)
    unfit = unfit_methods(backbones, effort.methods, length[0])
    trained = round(seen.classes.rows * (SHARE_TO_TRAIN if seen.whole else 1))
    limit = {**({"train": effort.most_rows} if effort.most_rows and trained > effort.most_rows else {}), **wishes.limit}
    content = Content(
        name=name,
        goal=f"Which way of tuning an encoder sorts the texts of {on_one_line(seen.file)} best for the least cost?",
        source=_source(source, path.parent),
        columns=(tuple(column.name for column in seen.texts), "; ".join(dict.fromkeys(c.why for c in seen.texts))),
        label=(seen.label.name, seen.label.why),
        left_out=seen.classes.too_small,
        limit=limit,
        max_length=length,
        backbones=backbones,
        epochs=effort.epochs(min(trained, limit.get("train", trained))),
        rows=seen.counted,
        methods=tuple(method for method in effort.methods if method not in unfit),
    )
    warnings = [*seen.notes, *warnings_of(seen.rows, seen.classes, seen.label.name)]
    warnings += [line for backbone, fit in fits.items() for line in fit.warnings(backbone)]
    warnings += [f"{method} is not searched: {why}" for method, why in unfit.items()]
    return Draft(name, path, study_text(content), tuple(_found(seen, content)), tuple(warnings))


def study_name(source: str, taken: Iterable[str] = ()) -> str:
    """A name for the study of a file: that of the file, with `-data` after it if another study has that name.

    >>> study_name("mails/Reviews 2024.csv.gz"), study_name("emotion.csv", ["emotion"])
    ('Reviews-2024', 'emotion-data')
    """
    file = PurePosixPath(source.partition("?")[0].rstrip("/")).name
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", file.split(".")[0]).strip("-_") or "my-study"
    return f"{stem}-data" if stem in taken else stem


@dataclass(frozen=True)
class Seen:
    """What looking at the rows to train on has found.

    Attributes:
        file: the name of the file.
        texts: the column of the text, or the two of pairs.
        whole: whether the splits will be cut from these rows.
        notes: what reading the file found.
    """

    file: str
    texts: tuple[Column, ...]
    label: Column
    rows: LabelledRows
    classes: Classes
    whole: bool
    notes: Sequence[str]

    @property
    def kept(self) -> dict[str, int]:
        """The classes that the study keeps, with their numbers of rows."""
        return {label: rows for label, rows in self.classes.counts.items() if label not in self.classes.too_small}

    @property
    def counted(self) -> str:
        return f"{self.classes.rows:,} rows, {len(self.kept):,} classes"


def _look(source: Mapping[str, str], wishes: Wishes) -> Seen:
    found = locate(source["train"], Path())
    table = read_location(found["train"], Request(()))
    if table.columns and not any(map(len, table.columns.values())):  # Parquet reads no column that is not asked for
        table = read_location(found["train"], Request(tuple(table.columns)))
    if not any(map(len, table.columns.values())):
        raise UserError(f"data.source: {table.name} is empty; it needs rows with a text and a label")
    header = without_header(table)
    try:
        texts, label = _columns(table, wishes)
    except UserError as error:
        raise UserError(f"{error}; {header}" if header else str(error)) from None
    names = [column.name for column in texts]
    section = DataSection(source="-", text=names[0] if len(names) == 1 else names, label=label.name)
    parts, notes = shape({"train": table}, section)
    classes = classes_of(parts["train"], label.name, table.name)
    notes = [*([header] if header else ()), *notes]
    return Seen(table.name, texts, label, parts["train"], classes, len(found) == len(source) == 1, notes)


def _columns(table: Table, wishes: Wishes) -> tuple[tuple[Column, ...], Column]:
    for name in wishes.text:
        check_name(table, name, "--text")
    texts = tuple(Column(name, GIVEN) for name in wishes.text)
    if wishes.label is not None:
        check_name(table, wishes.label, "--label")
    label = None if wishes.label is None else Column(wishes.label, GIVEN)
    texts = texts or (text_column(table, [label.name] if label else []),)
    label = label or label_column(table, [text.name for text in texts])
    for column, option in (*((text, "--text") for text in texts), (label, "--label")):
        check_name(table, column.name, option)
    if label.name in {text.name for text in texts}:
        raise UserError(f"--text and --label both name {shown(label.name)}; name two columns")
    return texts, label


def _documents(rows: LabelledRows) -> list[str]:
    return [f"{a} {b}" for a, b in zip(rows.text, rows.pair, strict=True)] if rows.pair else list(rows.text)


def _length(fits: Sequence[TokenFit], effort: Effort) -> tuple[int, str]:
    """The most tokens of a text, a multiple of 8, and why."""
    if not fits:
        return min(USUAL_LENGTH, effort.most_tokens), "in tokens; longer texts are cut"
    most = max(fit.most for fit in fits)
    length = min(effort.most_tokens, max(16, -(-most // 8) * 8))
    return length, f"in tokens; longer texts are cut; 95 % have at most {most:,}"


def _source(source: Mapping[str, str], folder: Path) -> str | dict[str, str]:
    """The source as the study file in `folder` names it. A leading `./` keeps any name from meaning something else."""
    here = {split: _from(folder, name) for split, name in source.items()}
    return here["train"] if len(here) == 1 else here


def _from(folder: Path, name: str) -> str:
    if is_url(name):
        return name
    file = expanded(name).resolve()
    if not file.is_relative_to(Path.cwd().resolve()):
        return str(file)
    path = os.path.relpath(file, folder.resolve())
    return path if path.startswith("..") else f"./{path}"


def _found(seen: Seen, content: Content) -> Iterator[str]:
    yield f"{seen.file}: {seen.counted}"
    for text in seen.texts:
        yield f"text: {shown(text.name)} ({text.why})"
    yield f"label: {shown(seen.label.name)} ({seen.label.why})"
    classes = [f"{shown(label)} {rows:,}" for label, rows in seen.kept.items()]
    yield f"classes: {', '.join(classes[:8])}" + (f" and {len(classes) - 8:,} more" if len(classes) > 8 else "")
    limited = f", on {content.limit['train']:,} of the rows" if "train" in content.limit else ""
    yield f"searched: {', '.join(content.methods)}, at most {content.epochs} epochs{limited}"
