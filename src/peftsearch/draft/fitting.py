"""Which of a preset's methods cannot tune the backbones of a new study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

from peftsearch.backbones.names import ResolvedModel, resolve
from peftsearch.core.errors import UserError
from peftsearch.draft.presets import RANGES
from peftsearch.methods.table import METHODS
from peftsearch.study.compatibility import corners
from peftsearch.study.methods_section import Space, read_methods
from peftsearch.study.mistakes.problems import Problems


def unfit_methods(backbones: Sequence[str], methods: Sequence[str], max_length: int) -> dict[str, str]:
    """The methods that some backbone cannot take, each with why. A backbone that is not here is not asked.

    Args:
        max_length: tokens of a text after truncation.
    """
    problems = Problems("draft/presets.py")
    spaces = read_methods({method: yaml.safe_load(RANGES[method]) for method in methods}, METHODS, problems)
    problems.raise_if_any()
    found: dict[str, str] = {}
    for model in _resolved(backbones):
        for method, why in _refusals(model, spaces, max_length).items():
            found.setdefault(method, why)
    return found


def _resolved(backbones: Sequence[str]) -> list[ResolvedModel]:
    models = []
    for name in backbones:
        try:
            models.append(resolve(name))
        except UserError:  # the search says so, with what to do
            continue
    return models


def _refusals(model: ResolvedModel, spaces: Mapping[str, Space], max_length: int) -> dict[str, str]:
    found = {}
    for method, space in spaces.items():
        try:
            for settings in corners(METHODS[method], space):
                METHODS[method].check_supported(model, settings, max_length)
        except UserError as error:
            found[method] = str(error)
    return found
