"""What a trial may cost and must reach to be recommended, and by how much it misses that."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from peftsearch.core.errors import UserError
from peftsearch.core.objectives import find_objective
from peftsearch.results.formatting import objective_in_words, percent

SHARE = "parameters_share"
"""Trainable parameters over those of full fine-tuning of the same backbone; see `results.front.Row`."""

LATENCY, SIZE = "latency_ms", "model_size_mb"

BOUNDED = {
    "max_parameters": "trainable_parameters",
    "max_train_seconds": "train_seconds",
    "max_latency_ms": LATENCY,
    "max_size_mb": SIZE,
}
"""Argument of `recommend` → the quantity that it bounds from above. `min_quality` bounds the study's metric."""

MIN_QUALITY = "min_quality"

MANY = 9.0
"""From this miss on, as a share of the bound, it is told as a factor."""

PARAMETERS = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([kmb%]?)", re.IGNORECASE)
SIZES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}


@dataclass(frozen=True)
class Limit:
    """One bound on one quantity of a trial.

    Attributes:
        option: the option of the command line that sets it.
        written: its value as the user wrote it.
        quantity: the key of `Candidate.values`.
        bound: the largest value that fits, or the smallest where `at_least` is true.
    """

    option: str
    written: str
    quantity: str
    bound: float
    at_least: bool = False

    def miss(self, value: float | None) -> float:
        """By what share of the bound `value` misses it; 0 if it fits, infinite if the value is unknown.

        >>> Limit("--max-train-seconds", "10", "train_seconds", 10.0).miss(12.0)
        0.2
        """
        if value is None or not math.isfinite(value):
            return math.inf
        over = self.bound - value if self.at_least else value - self.bound
        if over <= 0:
            return 0.0
        return over / abs(self.bound) if self.bound else math.inf

    def missed_by(self, values: Mapping[str, float]) -> bool:
        """Whether a trial with these values misses the bound."""
        return self.miss(values.get(self.quantity)) > 0

    def in_words(self, value: float | None) -> str:
        """How a value misses the bound: `--max-train-seconds 10: it has 12.00 (20 % more)`."""
        if value is None:
            return f"{self.option} {self.written}: what it has is not known"
        had = percent(value) if self.quantity == SHARE else objective_in_words(self.quantity, value)
        return f"{self.option} {self.written}: it has {had}{self._by(value)}"

    def _by(self, value: float) -> str:
        miss = self.miss(value)
        if not math.isfinite(miss):
            return ""
        if value > self.bound and miss >= MANY:
            return f" ({value / self.bound:,.0f} times as much)"
        return f" ({percent(miss)} {'less' if value < self.bound else 'more'})"


def read_limits(written: Mapping[str, float | str | None], metric: str) -> list[Limit]:
    """The limits that were given.

    Args:
        written: argument of `recommend` → its value, None where it was not given.
        metric: the quality metric of the study.

    Raises:
        UserError: a value is no number, or is negative.
    """
    return [_limit(name, value, metric) for name, value in written.items() if value is not None]


def _limit(name: str, value: float | str, metric: str) -> Limit:
    option, words = f"--{name.replace('_', '-')}", f"{value:,}" if isinstance(value, int) else f"{value}"
    if name == "max_parameters" and isinstance(value, str):
        return Limit(option, value, *_parameters(option, value))
    try:
        bound = float(value)
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound) or (bound < 0 and name != MIN_QUALITY):
        raise UserError(f"{option} {value}: is not a number of at least 0")
    if name != MIN_QUALITY:
        return Limit(option, words, BOUNDED[name], bound)
    return Limit(option, words, metric, bound, at_least=find_objective(metric).direction == "maximize")


def _parameters(option: str, written: str) -> tuple[str, float]:
    """The quantity and the bound of `1%`, `500k`, `1.5M` or `300000`."""
    found = PARAMETERS.fullmatch(written.strip().replace(",", "").replace("_", ""))
    if not found:
        raise UserError(
            f"{option} {written}: is neither a number of parameters, as 500k or 1.5M, nor a share of those that full "
            f"fine-tuning trains, as 1%"
        )
    number, unit = float(found[1]), found[2].lower()
    return (SHARE, number / 100) if unit == "%" else (BOUNDED["max_parameters"], number * SIZES[unit])
