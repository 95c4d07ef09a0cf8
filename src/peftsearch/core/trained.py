"""What training hands out: a model that can be saved, with what it measured, after an epoch or in the end."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from peftsearch.core.measurement import Measurement
    from peftsearch.core.predictions import Predictions


class Savable(Protocol):
    """A trained model that can write its checkpoint."""

    def save(self, folder: Path) -> None: ...


class TrainedModel(Savable, Protocol):
    """A trained model with what it measured, and what it said about the validation rows."""

    @property
    def measurement(self) -> Measurement: ...
    @property
    def predictions(self) -> Predictions | None: ...
