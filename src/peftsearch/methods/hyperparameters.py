"""How a method declares its hyperparameters, and the hyperparameters that all methods share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from peftsearch.backbones.heads import HEADS
from peftsearch.backbones.poolings import POOLINGS
from peftsearch.core.config import SEARCHABLE_TRAINING, TrainingConfig, valid_field_values
from peftsearch.core.dimensions import Choice, Dimension, Fixed, Range, Scalar, Valid

Settings = Mapping[str, Scalar]
"""A value for every hyperparameter of a method, by name."""


@dataclass(frozen=True)
class Condition:
    """When a conditional hyperparameter is active: its parent has one of these values (ConfigSpace's words).

    Attributes:
        parent: another hyperparameter of the same method, declared before the conditional one; a choice.
        values: the parent's values under which the conditional hyperparameter has an effect.
    """

    parent: str
    values: tuple[Scalar, ...]

    def holds(self, settings: Settings) -> bool:
        """Whether the hyperparameter is active beside `settings`; it is where they lack the parent."""
        return self.parent not in settings or settings[self.parent] in self.values


@dataclass(frozen=True)
class Hyperparameter:
    """One dimension of a method's search space.

    Attributes:
        default: what a study gets that does not mention it: a fixed value, or a space to search.
        valid: every value that makes sense; the dimension in a study file must lie within.
        summary: what it is, in half a sentence, for `peftsearch methods`.
        active_when: the condition under which it has an effect; None if it always has.
        short_name: its name in tables of results; by default its own without underscores.
        start: where a search of it begins, if not in the middle of its range.
    """

    default: Dimension
    valid: Valid
    summary: str
    active_when: Condition | None = None
    short_name: str = ""
    start: Scalar | None = None


def learning_rate(low: float, high: float, start: float | None = None) -> Hyperparameter:
    """A method's own learning-rate range, because a range shared by all methods would rank ranges, not methods.

    Args:
        start: the rate that is tried first, where recorded learning curves show a better one than the middle of the
            range (`docs/performance.md`).
    """
    return Hyperparameter(
        Range(low, high, log=True),
        Range(1e-8, 10.0),
        "learning rate of all trained parameters",
        short_name="lr",
        start=start,
    )


def layer_count(asked: Scalar, layers: int) -> int:
    """The number of layers that a setting asks for: a float up to 1 is a share of all `layers`.

    >>> layer_count(3, 12), layer_count(0.5, 12), layer_count(1, 12), layer_count(1.0, 12)
    (3, 6, 1, 12)
    """
    if isinstance(asked, float) and asked <= 1:
        return round(asked * layers)
    return int(asked)


def wrong_layer_count(name: str, asked: Scalar, layers: int) -> str | None:
    """Why `asked`, the setting of the hyperparameter `name`, is no number of layers; None if it is one."""
    if isinstance(asked, float) and asked > 1 and not asked.is_integer():
        return f"{name} must be a whole number, or a share from 0 to 1, but got {asked:g}"
    if layer_count(asked, layers) > layers:
        return f"{name} is {asked}, but it has {layers} layers"
    return None


SHARED: dict[str, Hyperparameter] = {
    "head": Hyperparameter(
        Fixed("linear"), Choice(tuple(HEADS)), "classification head; native is the architecture's own"),
    "pooling": Hyperparameter(
        Fixed("mean"), Choice(tuple(POOLINGS)), "how the last hidden states become one state",
        active_when=Condition("head", tuple(name for name, head in HEADS.items() if head.pools))),
    "head_dropout": Hyperparameter(Fixed(0.1), Range(0.0, 0.9), "dropout before the head's last layer"),
    "head_learning_rate_ratio": Hyperparameter(
        Fixed(1.0), Range(0.001, 10_000.0), "multiplier of the head's learning rate", short_name="head lr ×"),
}  # fmt: skip
"""Hyperparameters of every method with a backbone; a method may declare its own default under the same name."""

_VALID_TRAINING = valid_field_values(TrainingConfig)

TRAINING: dict[str, Dimension] = {name: _VALID_TRAINING[name] for name in SEARCHABLE_TRAINING}
"""Valid values of the `training:` section's fields that a method may search too."""
