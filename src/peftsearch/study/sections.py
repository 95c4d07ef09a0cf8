"""The short sections of a study file: backbones, training, objectives, search."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from peftsearch.core.config import EarlyStopping, TrainingConfig
from peftsearch.core.dimensions import Choice, Dimension, Range
from peftsearch.core.errors import nearest
from peftsearch.core.objectives import complaint_about
from peftsearch.core.strategies import PRUNERS, SAMPLERS
from peftsearch.methods.hyperparameters import TRAINING
from peftsearch.study.problems import Problems, Where, shown
from peftsearch.study.values import read_scalars

DEFAULT_OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")

SEED = Range(0, 2**32 - 1, integer=True)

TRAINING_SECTION: dict[str, Dimension] = {
    **TRAINING,
    "max_grad_norm": Range(0.0, 1e6),
    "precision": Choice(("auto", "fp32", "tf32", "bf16", "fp16")),
    "seed": SEED,
}
EARLY_STOPPING: dict[str, Dimension] = {"patience": Range(1, 10_000, integer=True), "threshold": Range(0.0, 1.0)}
SEARCH_SECTION: dict[str, Dimension] = {
    "sampler": Choice(tuple(SAMPLERS)),
    "pruner": Choice(tuple(PRUNERS)),
    "seed": SEED,
    "startup_trials": Range(1, 10_000, integer=True),
}
BACKBONE: dict[str, Dimension] = {"max_length": Range(4, 1_000_000, integer=True)}
"""Beside the names of a section's values stands what is valid for them."""

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Backbone:
    """A pretrained encoder, by the name that `backbones.loading.resolve` takes.

    Attributes:
        tokenizer: whose tokenizer reads the texts, if not the backbone's own; `tokenizer_revision` pins it.
        max_length: tokens per text, if not those of `data.max_length`.
        methods: that tune it, if not all of the study's.
    """

    name: str
    revision: str | None = None
    trust_remote_code: bool = False
    max_length: int | None = None
    methods: tuple[str, ...] | None = None
    tokenizer: str | None = None
    tokenizer_revision: str | None = None

    def takes(self, method: str) -> bool:
        """Whether the study tunes this backbone by `method`."""
        return self.methods is None or method in self.methods


@dataclass(frozen=True)
class SearchConfig:
    """How configurations are proposed and stopped. `startup_trials` random ones go before the sampler's model."""

    sampler: str = "tpe"
    pruner: str = "dominated"
    seed: int = 0
    startup_trials: int = 6


def mapping(raw: Any, problems: Problems, where: Where) -> Mapping[str, Any]:
    """`raw` if it is a mapping; nothing written counts as an empty one, anything else is a problem."""
    if raw is not None and not isinstance(raw, Mapping):
        problems.add(where, f"must be a mapping, but got {shown(raw)}")
    return raw if isinstance(raw, Mapping) else {}


def sequence(raw: Any, example: str, problems: Problems, where: Where) -> list[Any]:
    """`raw` if it is a list; anything else is a problem."""
    if not isinstance(raw, list):
        problems.add(where, f"must be a list like {example}, but got {shown(raw)}")
        return []
    return raw


def read_training(raw: Any, problems: Problems) -> TrainingConfig:
    """The `training:` section; what it leaves out has `TrainingConfig`'s defaults."""
    where: Where = ("training",)
    section = mapping(raw, problems, where)
    problems.unknown_keys(section, (field.name for field in fields(TrainingConfig)), where)
    values: dict[str, Any] = read_scalars(section, TRAINING_SECTION, problems, where)
    stopping = section.get("early_stopping")
    if stopping is not None:
        values["early_stopping"] = _early_stopping(stopping, problems, (*where, "early_stopping"))
    return TrainingConfig(**values)


def _early_stopping(raw: Any, problems: Problems, where: Where) -> EarlyStopping | None:
    section = mapping(raw, problems, where)
    problems.unknown_keys(section, EARLY_STOPPING, where)
    if isinstance(raw, Mapping) and "patience" not in section:
        problems.add((*where, "patience"), "is missing")
    values: dict[str, Any] = read_scalars(section, EARLY_STOPPING, problems, where)
    return EarlyStopping(**values) if "patience" in values else None


def read_search(raw: Any, problems: Problems) -> SearchConfig:
    """The `search:` section; what it leaves out has `SearchConfig`'s defaults."""
    where: Where = ("search",)
    section = mapping(raw, problems, where)
    problems.unknown_keys(section, SEARCH_SECTION, where)
    values: dict[str, Any] = read_scalars(section, SEARCH_SECTION, problems, where)
    return SearchConfig(**values)


def read_objectives(raw: Any, problems: Problems) -> tuple[str, ...]:
    """The `objectives:` section: names of the table, each once."""
    if raw is None:
        return DEFAULT_OBJECTIVES
    names = [str(name) for name in sequence(raw, "[macro_f1, train_seconds]", problems, ("objectives",))]
    if raw == []:
        problems.add(("objectives",), "is empty; name at least one")
    for i, name in enumerate(names):
        complaint = complaint_about(name)
        if complaint:
            problems.add(("objectives", i), complaint)
        if name in names[:i]:
            problems.add(("objectives", i), f"{name!r} is written twice; keep one")
    return tuple(names)


def read_backbones(raw: Any, problems: Problems) -> tuple[Backbone, ...]:
    """The `backbones:` section: names, or mappings with a name, a revision and `trust_remote_code`.

    A section that is missing altogether is no problem of this function's.
    """
    where: Where = ("backbones",)
    if raw is None:
        return ()
    items = sequence(raw, "[sentence-transformers/all-MiniLM-L6-v2]", problems, where)
    if raw == []:
        problems.add(where, "is empty; name at least one model")
    found = [_backbone(item, problems, (*where, i)) for i, item in enumerate(items)]
    for i, backbone in enumerate(found):
        if backbone.name and backbone.name in {other.name for other in found[:i]}:
            problems.add((*where, i), f"{backbone.name!r} is written twice; keep one")
    return tuple(found)


def check_tuned(backbones: Sequence[Backbone], methods: Collection[str], problems: Problems) -> None:
    """A problem for each of a backbone's `methods` that the study lacks, and for each method without a backbone."""
    for i, backbone in enumerate(backbones):
        for j, method in enumerate(backbone.methods or ()):
            if method not in methods:
                problems.add(("backbones", i, "methods", j), f"no method {method!r} here; {nearest(method, methods)}")
    for method in methods:
        if backbones and not any(backbone.takes(method) for backbone in backbones):
            problems.add(("methods", method), "tunes no backbone; add it to the methods of one")


def _backbone(raw: Any, problems: Problems, where: Where) -> Backbone:
    if isinstance(raw, str) and raw.strip():
        return Backbone(raw.strip())
    if not isinstance(raw, Mapping):
        problems.add(where, f"must be a model's name or {{name: …, revision: …}}, but got {shown(raw)}")
        return Backbone("")
    problems.unknown_keys(raw, (field.name for field in fields(Backbone)), where)
    name, revision, trust = raw.get("name"), raw.get("revision"), raw.get("trust_remote_code", False)
    if not isinstance(name, str) or not name.strip():
        problems.add((*where, "name"), f"must be a model's name, but got {name!r}")
    for key in ("revision", "tokenizer", "tokenizer_revision"):
        if raw.get(key) is not None and not isinstance(raw[key], str):
            problems.add((*where, key), f"must be text (quote it), but got {raw[key]!r}")
    if raw.get("tokenizer_revision") is not None and raw.get("tokenizer") is None:
        problems.add(
            (*where, "tokenizer_revision"), "pins nothing without 'tokenizer'; revision: pins the backbone's own"
        )
    if not isinstance(trust, bool):
        problems.add((*where, "trust_remote_code"), f"must be true or false, but got {trust!r}")
    elif trust and not COMMIT.fullmatch(str(revision)):
        problems.add(
            (*where, "trust_remote_code"), f"needs 'revision' to be a commit of 40 hex digits, but got {revision!r}"
        )
    values: dict[str, Any] = read_scalars(raw, BACKBONE, problems, where)
    if "methods" in raw:
        values["methods"] = tuple(map(str, sequence(raw["methods"], "[full, probe]", problems, (*where, "methods"))))
    values |= {key: raw.get(key) for key in ("tokenizer", "tokenizer_revision")}
    return Backbone(str(name).strip(), revision, trust is True, **values)
