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
    public = {
        name: (here[name].partition("+")[0], there[name].partition("+")[0])
        for name in PACKAGES
        if name in here and name in there
    }
    return {name: both for name, both in public.items() if both[0] != both[1]}


@cache  # looking through all that is installed takes milliseconds
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:  # a checkout on the path is not installed
        return None
