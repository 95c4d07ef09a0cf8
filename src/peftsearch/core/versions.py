"""The packages that decide what a trial measures, and their versions here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "adapters",
    "accelerate",
    "tokenizers",
    "datasets",
    "scikit-learn",
    "numpy",
    "peftsearch",
)
TEXT_PACKAGES = ("scikit-learn", "numpy", "peftsearch")
"""Those of `PACKAGES` on which a method without a backbone depends."""


def installed_versions(names: Sequence[str] = PACKAGES) -> dict[str, str]:
    """The versions of these packages here, but for those that are not installed."""
    return {name: found for name in names if (found := _version(name)) is not None}


def other_versions(here: Mapping[str, str], there: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The packages of which both tell a version, and not the same one. The build, as in `2.13.0+cpu`, does not count.

    >>> other_versions({"torch": "2.13.0+cpu", "peft": "0.21.1"}, {"torch": "2.13.0+cu128", "peft": "0.21.2"})
    {'peft': ('0.21.1', '0.21.2')}
    """
    both = {name: (_public(here[name]), _public(there[name])) for name in PACKAGES if name in here and name in there}
    return {name: (own, other) for name, (own, other) in both.items() if own != other}


def by_versions(trials: Mapping[int, Mapping[str, str]]) -> dict[str, tuple[int, ...]]:
    """The trials by their versions of those packages that not all of them had alike; empty if all had.

    Args:
        trials: number → package → version, of whatever packages decided the trial.

    >>> by_versions({0: {"torch": "2.13.0"}, 1: {"torch": "2.12.1+cpu", "numpy": "2.3.0"}, 2: {"numpy": "2.3.0"}})
    {'torch 2.13.0': (0,), 'torch 2.12.1': (1,)}
    """
    mixed = [name for name in PACKAGES if len({_public(had[name]) for had in trials.values() if name in had}) > 1]
    found: dict[str, list[int]] = {}
    for number, had in trials.items():
        words = " and ".join(f"{name} {_public(had[name])}" for name in mixed if name in had)
        if words:
            found.setdefault(words, []).append(number)
    return {words: tuple(numbers) for words, numbers in found.items()}


def _public(version: str) -> str:
    return version.partition("+")[0]


@cache  # looking through all that is installed takes milliseconds
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout on the path is not installed
        return None
