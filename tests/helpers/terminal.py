"""A terminal that a test can look at."""

from __future__ import annotations

import io
import re

import pytest

WIDTH = 80


class _Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class Screen:
    """Stands in for the standard error; `lines` is what a person would see."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bytes = io.BytesIO()
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", str(WIDTH))
        monkeypatch.setattr("sys.stderr", _Terminal(self._bytes, "utf-8", write_through=True))

    @property
    def written(self) -> str:
        """Everything that was sent to the terminal, its commands included."""
        return self._bytes.getvalue().decode()

    def lines(self) -> list[str]:
        """The lines that are not empty, also those that have scrolled away; without colours and trailing blanks."""
        rows, at = [""], 0
        for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.written):
            if part == "\n":
                at += 1
                rows += [""] * (at + 1 - len(rows))
            elif part == "\x1b[2K":
                rows[at] = ""
            elif up := re.fullmatch(r"\x1b\[(\d+)A", part):
                at -= int(up[1])
            elif not part.startswith(("\x1b", "\r")):
                rows[at] += part
        return [row.rstrip() for row in rows if row.strip()]
