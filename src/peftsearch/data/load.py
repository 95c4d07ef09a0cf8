"""Prepares a study's data once, stores it as Arrow files, and opens these in every worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.files.checksums import is_sound
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data.base import SPLITS, LabelledRows, Table, TextData, label_text
from peftsearch.data.cache import digest, kept_once
from peftsearch.data.hub import hub_identity, read_hub
from peftsearch.data.labels import other_than_classes
from peftsearch.data.overlap import without_overlap
from peftsearch.data.read.files import Identity, Location, is_url, locate, locate_in_package, read_location
from peftsearch.data.read.formats import Request
from peftsearch.data.section import DataSection
from peftsearch.data.shaping import complete, limit, shape

PREPARATION = 2
"""Part of the cache's key. It is increased when a change of the code gives other rows for the same source."""


@dataclass(frozen=True)
class SourceKind:
    """A kind of source. Its functions take the name without prefix, the section and the study's folder.

    Attributes:
        identity: returns JSON data that is the same for the same content; raises UserError if nothing is there.
        read: returns the table of each split; only `train` if the source has no splits.
    """

    summary: str
    identity: Callable[[str, DataSection, Path], Identity]
    read: Callable[[str, DataSection, Path], Mapping[str, Table]]


def _files(summary: str, find: Callable[[str, Path], dict[str, Location]]) -> SourceKind:
    def identity(name: str, section: DataSection, folder: Path) -> Identity:
        found = {split: location.identity() for split, location in find(name, folder).items()}
        return Identity({split: each.said for split, each in found.items()}, all(each.known for each in found.values()))

    def read(name: str, section: DataSection, folder: Path) -> Mapping[str, Table]:
        request = Request(section.wanted_columns, tuple(section.columns) if section.columns else None, section.encoding)
        return {split: read_location(location, request) for split, location in find(name, folder).items()}

    return SourceKind(summary, identity, read)


SOURCES: dict[str, SourceKind] = {
    "package": _files("a file or folder in an installed Python package", lambda name, _: locate_in_package(name)),
    "hub": SourceKind("a data set of the Hugging Face hub", hub_identity, read_hub),
    "file": _files("a file, a folder or a URL", locate),
}
"""The kinds of sources by their prefix in `data.source`, as in `hub:NAME`; a name without a prefix is a file."""


def load_data(section: DataSection, folder: Path, cache: Path, own: Path | None = None) -> TextData:
    """The study's data in three splits. The first process prepares it; then it is read from `cache`.

    Files are told by their content, so that all studies over equal files share what was prepared. What a URL or the
    hub gives is fetched once by each study: pin `revision`, or remove `own`, to use another state of it.

    Args:
        folder: the study file's folder, at which relative paths start.
        cache: a folder, created if it is not there; processes of several machines may use it at once.
        own: the folder for what has to be fetched, which is the study's alone; by default `cache`, too.

    Raises:
        UserError: the data is not there, or cannot be used as it is.
    """
    sources = _sources(section)
    identity = {split: source.identity(name, section, folder) for split, source, name in sources}
    known = all(each.known for each in identity.values())
    said = [[split, each.said] for split, each in identity.items()]
    key = digest(PREPARATION, section.model_dump(exclude={"max_length"}), said)
    place = cache if known or own is None else own
    return _open(kept_once(place / key, lambda target: _prepare(section, folder, target)))


def data_of_study(section: DataSection, folder: Path, run: RunFolder) -> TextData:
    """As `load_data`, from the cache that all studies share and the study's own folder.

    Args:
        run: the study's.

    Raises:
        UserError: the data is not there, or cannot be used as it is.
    """
    return load_data(section, folder, cache_folder().data, run.data)


def open_prepared(run: RunFolder, fingerprint: str) -> TextData | None:
    """The training and validation rows that a study has prepared, without looking at its sources again.

    Args:
        run: the study's.
        fingerprint: that of the data, as a trial's measurement names it.

    Returns:
        None if they are not on this machine any more, or damaged.
    """
    for meta in (meta for place in (cache_folder().data, run.data) for meta in place.glob("*/meta.json")):
        if _fingerprint(meta) == fingerprint and is_sound(meta.parent):
            data = _open(meta.parent)
            return replace(data, splits={split: data.splits[split] for split in ("train", "validation")})
    return None


def _fingerprint(meta: Path) -> str | None:
    """What the file says; None if it is damaged."""
    try:
        return str(json.loads(meta.read_text(encoding="utf-8"))["fingerprint"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _sources(section: DataSection) -> list[tuple[str | None, SourceKind, str]]:
    """For each source its split (None if it may hold several), its kind, and its name without prefix."""
    named = section.source.items() if isinstance(section.source, dict) else [(None, section.source)]
    found = []
    for split, text in named:
        prefix, colon, name = text.partition(":")
        known = colon and prefix in SOURCES and not is_url(text)
        found.append((split, SOURCES[prefix if known else "file"], name if known else text))
    return found


def _tables(section: DataSection, folder: Path) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    for split, source, name in _sources(section):
        found = source.read(name, section, folder)
        if split is None:
            return dict(found)
        if set(found) != {"train"}:
            raise UserError(f"data.source.{split}: {name!r} holds {', '.join(found)}; name one file")
        tables[split] = found["train"]
    return {split: tables[split] for split in SPLITS if split in tables}


def _prepare(section: DataSection, folder: Path, target: Path) -> None:
    """Read the sources, shape their rows, make the missing splits, and write all three under `target`."""
    tables = _tables(section, folder)
    parts, notes = shape(tables, section)
    parts = complete(parts, section, notes)
    declared = [label_text(name) for name in tables["train"].label_names.get(section.label, ())]
    parts, overlaps = without_overlap(parts, section.allow_overlap)
    labels = _label_names(parts, declared)
    parts = limit(parts, section, notes := notes + overlaps)
    _write(parts, labels, notes, target)


def _label_names(parts: Mapping[str, LabelledRows], declared: Iterable[str | None]) -> tuple[str, ...]:
    """The classes of the training split, in the order that the source declares, else by number, else by name."""
    known = set(parts["train"].label)
    for split, rows in parts.items():
        unknown = sorted(set(rows.label) - known)
        if unknown:
            count = sum(label in unknown for label in rows.label)
            more = f" and {len(unknown) - 10:,} more" if len(unknown) > 10 else ""
            like = other_than_classes(parts["train"].label)
            mend = f"{like}; correct the files" if like else "correct the files"
            raise UserError(
                f"data.label: {split} has {count:,} rows of classes that train lacks: {', '.join(unknown[:10])}{more}; "
                f"{mend}, or name the classes in data.drop_labels or data.map_labels"
            )
    if len(known) < 2:
        raise UserError(f"data.label: every row has the label {known.pop()!r}; a classifier needs two classes")
    order = {label: place for place, label in enumerate(declared)}
    numbers = all(label.lstrip("-").isdecimal() for label in known)
    return tuple(sorted(known, key=lambda label: (order.get(label, len(order)), int(label) if numbers else 0, label)))


def _write(parts: Mapping[str, LabelledRows], labels: tuple[str, ...], notes: list[str], target: Path) -> None:
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()
    ids = {label: number for number, label in enumerate(labels)}
    content = hashlib.sha256(json.dumps(labels).encode())
    for split, rows in parts.items():
        pair = {} if rows.pair is None else {"pair": rows.pair}
        columns = {"text": rows.text, **pair, "label": [ids[label] for label in rows.label]}
        content.update(json.dumps([split, columns]).encode())
        Dataset.from_dict(columns).save_to_disk(target / split)
    meta = {"labels": labels, "fingerprint": content.hexdigest()[:16], "notes": notes}
    (target / "meta.json").write_text(json.dumps(meta, ensure_ascii=False, indent=1), encoding="utf-8")


def _open(folder: Path) -> TextData:
    from datasets import load_from_disk

    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    splits = {split: load_from_disk(folder / split) for split in SPLITS}
    return TextData(tuple(meta["labels"]), splits, meta["fingerprint"], tuple(meta["notes"]))
