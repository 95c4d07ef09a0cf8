"""The names that a study's `search:` section or a command may give, each with the function that it stands for.

The study file, the command line and the search all read these tables. The functions live in `search/` and `workers/`,
which stand above `study/` and need Optuna or Ray, so an entry names its function instead of importing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

SAMPLERS: dict[str, str] = {
    "tpe": "peftsearch.search.samplers:tpe",
    "ehvi": "peftsearch.search.samplers:ehvi",
    "random": "peftsearch.search.samplers:random",
}
"""Ways to propose the next configuration: functions of a seed and a number of start-up trials to an Optuna sampler."""

PRUNERS: dict[str, str] = {
    "dominated": "peftsearch.search.pruning:dominated",
    "median": "peftsearch.search.pruning:median",
    "none": "peftsearch.search.pruning:never",
}
"""Rules that stop a running trial early: each is a `peftsearch.search.pruning.Rule`."""

ENGINES: dict[str, str] = {
    "local": "peftsearch.workers.local:engine_of",
    "ray": "peftsearch.workers.ray_engine:engine_of",
}
"""Places where the workers of a search run: functions of a `peftsearch.workers.engine.Wanted` to an `Engine`."""


def load_strategy(table: Mapping[str, str], name: str) -> Any:
    """Import the function that `name` stands for.

    Args:
        table: `SAMPLERS`, `PRUNERS` or `ENGINES`.

    Raises:
        KeyError: the table has no such name.

    >>> load_strategy(PRUNERS, "none").__name__
    'never'
    """
    module, _, function = table[name].partition(":")
    return getattr(import_module(module), function)
