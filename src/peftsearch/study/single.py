"""A study file that leaves nothing to search describes one configuration, which can be trained without a search."""

from __future__ import annotations

from peftsearch.core.config import TrialConfig
from peftsearch.core.dimensions import Fixed
from peftsearch.core.errors import UserError
from peftsearch.study.catalogue import displayed
from peftsearch.study.spec import Baseline, StudySpec
from peftsearch.study.suggest import baseline_config
from peftsearch.study.values import in_words


def only_config(spec: StudySpec) -> TrialConfig:
    """The one configuration of a study with one method, one backbone and a value for every dimension.

    Raises:
        UserError: something is left to search; the message says what.
    """
    file = displayed(spec.path)
    for section, names in (("methods", list(spec.methods)), ("backbones", [b.name for b in spec.backbones])):
        if len(names) > 1:
            raise UserError(f"{file}: {section}: names {len(names)} ({', '.join(names)}); keep one, {_or_search(file)}")
    [(method, space)] = spec.methods.items()
    for name, dimension in space.items():
        if not isinstance(dimension, Fixed):
            raise UserError(
                f"{file}: methods.{method}.{name}: is open ({in_words(dimension)}); write one value, {_or_search(file)}"
            )
    values = {name: dimension.value for name, dimension in space.items() if isinstance(dimension, Fixed)}
    return baseline_config(spec, Baseline(method, spec.backbones[0].name, values))


def _or_search(file: str) -> str:
    return f"or search: peftsearch optimize --study {file}"
