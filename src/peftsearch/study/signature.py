"""The signature of a study, which is stored beside its trials and tells whether later trials are comparable.

It holds everything that decides a trial's result: data, backbones, training, objectives and the methods' dimensions.
Goal, baselines, sampler, pruner and the sampler's seed may change between two runs of one study, and so may the
constraints, the tolerance and whether every epoch counts: no trial's result depends on them, and the front is chosen
anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from peftsearch.core.config import TrainingConfig
from peftsearch.core.dimensions import Choice, Dimension, Fixed
from peftsearch.core.secrets import hashed_url
from peftsearch.methods.table import METHODS
from peftsearch.study.spec import Backbone, StudySpec
from peftsearch.study.suggest import in_order
from peftsearch.study.values import in_words


def signature(spec: StudySpec) -> str:
    """A JSON object that maps places in the study file to what is written there, in words."""
    return json.dumps(_described(spec), sort_keys=True)


def without_secrets(stored: str) -> str:
    """A stored signature without the secrets of the URLs in it; those of earlier versions hold them."""
    return json.dumps(_without_secrets(json.loads(stored)), sort_keys=True)


def differences(spec: StudySpec, stored: str) -> list[str]:
    """How `spec` differs from a stored signature, one line a difference; empty if trials of both are comparable.

    A line reads `methods.lora.rank: 4 | 8 here, 4 | 16 there`.
    """
    here, there = _described(spec), _without_secrets(json.loads(stored))
    # A storage that is older than a field or a hyperparameter was searched with its default.
    defaults = {**dict(_flat({"training": asdict(TrainingConfig())})), **_default_settings(there)}
    return [
        f"{place}: {_as_written(here.get(place))} here, {_as_written(there.get(place))} there"
        for place in sorted({*here, *there})
        if here.get(place) != there.get(place, defaults.get(place))
    ]


def _described(spec: StudySpec) -> dict[str, str]:
    space = {
        f"methods.{method}.{name}": in_words(_canonical(dimension))
        for method, dimensions in spec.methods.items()
        for name, dimension in dimensions.items()
    }
    backbones = {f"backbones.{b.name}": b.revision or "any revision" for b in spec.backbones}
    backbones |= {f"backbones.{b.name}.max_length": str(b.max_length) for b in spec.backbones if b.max_length}
    backbones |= {f"backbones.{b.name}.methods": ", ".join(sorted(b.methods)) for b in spec.backbones if b.methods}
    backbones |= {f"backbones.{b.name}.tokenizer": _tokenizer(b) for b in spec.backbones if b.tokenizer}
    sections = {"data": spec.data.model_dump(mode="json"), "training": asdict(spec.training)}
    described = {**space, **backbones, **dict(_flat(sections)), "objectives": ", ".join(spec.objectives)}
    return _without_secrets(described)


def _without_secrets(described: Mapping[str, str]) -> dict[str, str]:
    return {
        place: hashed_url(words) if place.startswith("data.source") else words for place, words in described.items()
    }


def _as_written(words: str | None) -> str:
    """What a signature says of one place, as a study file has it."""
    return {None: "not set", "None": "not set", "True": "true", "False": "false"}.get(words, words or '""')


def _default_settings(stored: Mapping[str, str]) -> dict[str, str]:
    """The defaults, where they are one value, of the hyperparameters of all methods in a stored signature."""
    searched = {place.split(".")[1] for place in stored if place.startswith("methods.")}
    return {
        f"methods.{method}.{name}": in_words(_canonical(parameter.default))
        for method in searched & METHODS.keys()
        for name, parameter in METHODS[method].hyperparameters.items()
        if isinstance(parameter.default, Fixed)
    }


def _tokenizer(backbone: Backbone) -> str:
    return f"{backbone.tokenizer} ({backbone.tokenizer_revision or 'any revision'})"


def _canonical(dimension: Dimension) -> Dimension:
    """The dimension without what may change when a file is rewritten: the order of options, and 4.0 for 4."""
    if isinstance(dimension, Choice):
        return Choice(tuple(_plain(option) for option in in_order(dimension)))
    return Fixed(_plain(dimension.value)) if isinstance(dimension, Fixed) else dimension


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(_plain(value))
