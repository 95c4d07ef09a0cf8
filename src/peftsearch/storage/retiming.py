"""What measuring times again leaves in the storage: the seconds of finished trials, measured alone and in turns.

They are attributes of the study, since Optuna takes none of a trial that has ended. Each turn has one of its own, so
that none grows large and an interrupted call loses the turn in hand only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING

from peftsearch.storage.confirmations import now

if TYPE_CHECKING:
    from optuna.study import Study

TIMED = "timed_again:"
"""`timed_again:TRIAL:TURN` is one turn."""


@dataclass(frozen=True)
class TimedAgain:
    """One turn of one trial.

    Attributes:
        trial: its number.
        turn: 0 for the first.
        seconds: of the training of each epoch that the trial has run, by the clock of the search.
        ended: ISO 8601, in UTC.
    """

    trial: int
    turn: int
    seconds: tuple[float, ...]
    ended: str


def write_timed(study: Study, trial: int, turn: int, seconds: tuple[float, ...]) -> None:
    """Write what a turn has measured."""
    study.set_user_attr(f"{TIMED}{trial}:{turn}", asdict(TimedAgain(trial, turn, seconds, now())))


def read_timed(study: Study) -> list[TimedAgain]:
    """Every turn that was written, ordered by trial and turn."""
    raw = [attribute for name, attribute in study.user_attrs.items() if name.startswith(TIMED)]
    found = [TimedAgain(**{**each, "seconds": tuple(each["seconds"])}) for each in raw]
    return sorted(found, key=lambda turn: (turn.trial, turn.turn))


def seconds_again(study: Study) -> Mapping[int, tuple[float, ...]]:
    """Trial → the training seconds of each of its epochs, the median over its turns."""
    turns: dict[int, list[tuple[float, ...]]] = {}
    for found in read_timed(study):
        turns.setdefault(found.trial, []).append(found.seconds)
    return {trial: tuple(map(median, zip(*measured, strict=True))) for trial, measured in turns.items()}
