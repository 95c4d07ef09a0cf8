"""The same study on other data or another backbone: what `--data` and `--backbone` change in a study's document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Overrides:
    """What stands in for parts of a study file. All else of the study stays as it is written.

    Attributes:
        source: files by split, in place of `data.source`; `data.files` then says how they name columns and classes.
        columns: `text`, `pair` and `label`: columns of those files, if neither `data` nor `data.files` names them.
        backbones: in place of the study's, one by one; a last one stands for all that follow.
        limit: at most so many rows of a split, in place of `data.limit`'s for that split.
    """

    source: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    backbones: tuple[str, ...] = ()
    limit: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.source or self.columns or self.backbones or self.limit)

    def apply(self, document: Any) -> Any:
        """A copy of a study's `document` with the changes made; what is malformed is left for validation to find."""
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
            data.pop("revision", None)
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
        """The backbones under their new names, each new one once, and the baselines that name one of them."""
        entries = [dict(item) if isinstance(item, Mapping) else {"name": item} for item in document["backbones"]]
        names = {str(entry.get("name")).strip(): self._name(place) for place, entry in enumerate(entries)}
        pinned = ("revision", "trust_remote_code", "tokenizer", "tokenizer_revision")  # of the model that is not used
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
    """A file relative to the working directory by its full path; URLs and prefixed names (`hub:…`) as they stand.

    In a study file the same name would be relative to that file's folder.
    """
    path = Path(name).expanduser()
    return str(path.absolute()) if path.exists() or ":" not in name else name


def _on(baseline: Any, names: Mapping[str, str]) -> Any:
    if not isinstance(baseline, Mapping) or "backbone" not in baseline:
        return baseline
    return {**baseline, "backbone": names.get(str(baseline["backbone"]), baseline["backbone"])}
