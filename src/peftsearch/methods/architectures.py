"""On which architectures each method works, as `scripts/make_method_matrix.py` has tried it on random encoders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from peftsearch.backbones.families import FAMILIES

FILE = files("peftsearch") / "resources" / "methods" / "architectures.json"


@cache
def failures() -> Mapping[str, Mapping[str, str]]:
    """Method → architecture → why the method does not work on it, in half a sentence."""
    found: dict[str, dict[str, str]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def works_on(method: str) -> tuple[list[str], Mapping[str, str]]:
    """The architectures on which a method with a backbone works, and why it does not on the others."""
    why = failures().get(method, {})
    return [name for name in FAMILIES if name not in why], why
