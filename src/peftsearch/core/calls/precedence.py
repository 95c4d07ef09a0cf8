"""The one rule of what precedes what: an option, then a variable of the environment, then the study file.

An option of a command is an argument of the Python function that does the same. What is given nowhere has its default.
"""

from __future__ import annotations

import os
from typing import TypeVar

Value = TypeVar("Value")

STORAGE_VARIABLE = "PEFTSEARCH_STORAGE"
"""The variable that names the database of trials."""

RUNS_VARIABLE = "PEFTSEARCH_RUNS"
"""The variable that names the folder of all studies."""

ARTIFACTS_VARIABLE = "PEFTSEARCH_ARTIFACTS"
"""The variable that names where weights are kept for all machines."""


CACHE_VARIABLE = "PEFTSEARCH_CACHE"
"""The variable that names the folder of what is prepared once: texts, tokens and the states of frozen layers."""


def of_environment(given: str | None, variable: str) -> str | None:
    """What was given, or else what a variable says; None if neither says anything. An empty text says nothing."""
    return given or os.environ.get(variable) or None


def of_study(given: Value | None, written: Value) -> Value:
    """What was given, though it be 0, or else what the study file says or leaves at its default."""
    return written if given is None else given
