"""The same study on other data or another backbone: how `--data`, `--limit` and `--backbone` change its document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from peftsearch.core.calls.arguments import check
from peftsearch.core.packages import expanded


@dataclass(frozen=True)
class Overrides:
    """What replaces parts of a study file. The rest of the study stays as it is written.

    Attributes:
        source: a file for each split, which replace `data.source`; `data.files` says how they name columns and classes.
        columns: the columns `text`, `pair` and `label` of these files, if neither `data` nor `data.files` names them.
        backbones: models that replace the study's one by one; the last one also replaces all further ones.
        limit: the most rows of a split, which replaces that split's limit in `data.limit`.
        tolerance: with which the front of results is chosen that are opened (`StoredStudy.with_tolerance`). It is no
            part of what was searched, and changes no document.
        every_epoch: whether every epoch of a trial counts as a point of the front of results that are opened
            (`StoredStudy.with_every_epoch`); None for what the study says. It changes no document either.
    """

    source: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    backbones: tuple[str, ...] = ()
    limit: Mapping[str, int] = field(default_factory=dict)
    tolerance: Mapping[str, float | str] | str | None = None
    every_epoch: bool | None = None

    def __post_init__(self) -> None:
        check("Overrides", vars(self))

    def __bool__(self) -> bool:
        """Whether another study is searched than the file describes."""
        return bool(self.source or self.columns or self.backbones or self.limit)

    def apply(self, document: Any) -> Any:
        """A changed copy of a study's `document`. Malformed parts stay as they are; validation reports them."""
        if not isinstance(document, Mapping):
            return document
        changed = dict(document)
        if isinstance(document.get("data"), Mapping) and (self.source or self.columns or self.limit):
            changed["data"] = self._data(document["data"])
        if isinstance(document.get("backbones"), list) and self.backbones:
            changed |= self._backbones(document)
        return changed

    def _data(self, written: Mapping[str, Any]) -> dict[str, Any]:
        data = dict(written)
        if self.source:
            files = data.pop("files", None)
            for key in ("revision", "encoding"):  # these belong to the source that is replaced
                data.pop(key, None)
            data |= {"source": dict(self.source), **(files if isinstance(files, Mapping) else {})}
        if self.limit:
            limit = data.get("limit")
            data["limit"] = {**(limit if isinstance(limit, Mapping) else {}), **self.limit}
        texts = data.get("text", "text")
        first, second = texts if isinstance(texts, list) and len(texts) == 2 else (texts, None)
        first, second = self.columns.get("text", first), self.columns.get("pair", second)
        data["text"] = first if second is None else [first, second]
        data["label"] = self.columns.get("label", data.get("label", "label"))
        return data

    def _backbones(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """The backbones under their new names, each once, and the baselines that name a backbone."""
        entries = [dict(item) if isinstance(item, Mapping) else {"name": item} for item in document["backbones"]]
        names = {str(entry.get("name")).strip(): self._name(place) for place, entry in enumerate(entries)}
        # These keys belong to the model that is replaced.
        pinned = ("revision", "trust_remote_code", "tokenizer", "tokenizer_revision")
        renamed: dict[str, dict[str, Any]] = {}
        for place, entry in enumerate(entries):
            kept = {key: value for key, value in entry.items() if key not in pinned}
            renamed.setdefault(self._name(place), {**kept, "name": self._name(place)})
        changed: dict[str, Any] = {"backbones": list(renamed.values())}
        if isinstance(document.get("baselines"), list):
            changed["baselines"] = [_on(baseline, names) for baseline in document["baselines"]]
        return changed

    def _name(self, place: int) -> str:
        return self.backbones[min(place, len(self.backbones) - 1)]


def from_here(name: str) -> str:
    """The full path of a file that is named relative to the working directory.

    In a study file the same name would be relative to that file's folder. URLs and names with a prefix (`hub:…`) are
    returned unchanged.
    """
    path = expanded(name)
    return str(path.absolute()) if path.exists() or ":" not in name else name


def _on(baseline: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(baseline, Mapping) or "backbone" not in baseline:
        return baseline
    return {**baseline, "backbone": names.get(str(baseline["backbone"]), baseline["backbone"])}
