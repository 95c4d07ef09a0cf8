"""Collects the problems of a study file, so that one message shows them all.

Each problem is one line, as compilers write it: `FILE: PATH.IN.FILE: what is wrong, the value, the nearest valid
name`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from peftsearch.core.errors import UserError
from peftsearch.study.mistakes.keys import where_it_belongs

Where = tuple[str | int, ...]
"""A place in the file: the keys and list positions that lead to it."""


def show_path(where: Where) -> str:
    """A place as the messages write it.

    >>> show_path(("baselines", 0, "rank"))
    'baselines[0].rank'
    """
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


class Problems:
    """The problems and warnings of one study file, in the order found."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[str] = []
        self.warnings: list[str] = []

    def add(self, where: Where, text: str) -> None:
        self.found.append(self._line(where, text))

    def warn(self, where: Where, text: str) -> None:
        self.warnings.append(self._line(where, text))

    def unknown_keys(self, raw: Mapping[Any, Any], valid: Iterable[str], where: Where) -> None:
        """Add a problem for every key of `raw` that is not in `valid`."""
        names = list(valid)
        for key in raw:
            if key not in names:
                self.add((*where, str(key)), f"unknown key {key!r}; {where_it_belongs(str(key), names, where)}")

    def raise_if_any(self) -> None:
        """Stop if anything is wrong.

        Raises:
            UserError: there are problems; the message has all of them.
        """
        if self.found:
            raise UserError("\n".join(self.found))

    def _line(self, where: Where, text: str) -> str:
        return ": ".join(part for part in (self.file, show_path(where), text) if part)
