"""Errors by who can correct them, and the words in which messages tell them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any, Literal

from peftsearch.core.secrets import hide_secrets

FailureKind = Literal[
    "out_of_memory", "not_finite", "error", "killed", "hung", "interrupted", "disk", "hub", "outside_space"
]

OWN_FAILURES: frozenset[str] = frozenset({"out_of_memory", "not_finite"})
"""Kinds that the configuration causes. Optuna is told PRUNED for them, so that the sampler learns from them."""


class UserError(Exception):
    """An error that the user can correct. It says what is wrong, with which value, and what to do. Exit code: 2.

    The secrets of the URLs in it are hidden.
    """

    def __init__(self, message: str) -> None:
        super().__init__(hide_secrets(message))


class NotBegun(UserError):
    """No search of a study has begun in the storage that was looked into."""


class StorageLost(Exception):
    """The database of a search cannot be used any more. The message is one line. Exit code 1.

    Neither a trial nor the study file is to blame, so it is never written onto a trial as its failure.
    """


class TrialFailure(Exception):
    """A trial that cannot go on, with the kind of its failure."""

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Interrupted(Exception):
    """The user asked to stop: the trial ends at this step and is put back as not started."""


class OutOfTime(Interrupted):
    """The time limit of the search has passed: a trial ends with the epochs it has, and is put back if it has none."""


def one_line(error: BaseException | str) -> str:
    """What an error says, on one line; the name of its type if it says nothing.

    >>> one_line(OSError("no room\\n  on the disk")), one_line(ValueError())
    ('no room on the disk', 'ValueError')
    """
    return " ".join(str(error).split()) or type(error).__name__


def nearest(name: str, valid: Iterable[str]) -> str:
    """`did you mean …?` for a mistyped name, else the valid names.

    >>> nearest("lorra", ["lora", "full"])
    "did you mean 'lora'?"
    """
    names = sorted(valid)
    close = close_match(name, names)
    return f"did you mean {close!r}?" if close else f"valid: {', '.join(names)}"


def close_match(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that looks most like a mistyped one, in capitals or not; None if none does.

    >>> close_match("LoRa", ["lora", "full"]), close_match("x", ["lora"])
    ('lora', None)
    """
    names = {other.casefold(): other for other in sorted(valid)}
    close = difflib.get_close_matches(name.casefold(), names, n=1)
    return names[close[0]] if close else None


def shown(value: Any) -> str:
    """A value for a message: as Python writes it, and cut after 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
