"""What is trainable in each epoch, where a method changes that as training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import ENCODER_METHODS

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier


class Stages:
    """The epochs of a trial, by what is trainable in them. Outside of them is trainable whatever any of them trains."""

    def __init__(self, model: Classifier, config: TrialConfig) -> None:
        self._all = {name: p for name, p in model.named_parameters() if p.requires_grad}
        own = ENCODER_METHODS[config.method].stages(model.encoder, config.settings, config.training.epochs)
        head = {name for name in self._all if name.startswith("head.")}
        self._length = config.training.epochs
        self._epochs = [head.union(f"encoder.{name}" for name in names) for names in own]

    def enter(self, epoch: int) -> None:
        """Freeze what is not trained in `epoch`; the first is 0."""
        if self._epochs:
            for name, parameter in self._all.items():
                parameter.requires_grad_(name in self._epochs[epoch])

    def leave(self) -> None:
        """Make everything trainable that any epoch trains."""
        for parameter in self._all.values():
            parameter.requires_grad_(True)

    def each(self) -> Iterator[int]:
        """The first epoch of each stage, entered while it is looked at."""
        for epoch, names in enumerate(self._epochs or [set(self._all)]):
            if names not in self._epochs[:epoch]:
                self.enter(epoch)
                yield epoch
        self.leave()

    def counts(self) -> list[int]:
        """Trainable parameters in each epoch."""
        names = self._epochs or [set(self._all)] * self._length
        return [sum(self._all[name].numel() for name in trained) for trained in names]

    def first_epoch(self, name: str) -> int:
        """The first epoch that trains the parameter `name`; 0 if none does."""
        return next((epoch for epoch, names in enumerate(self._epochs) if name in names), 0)
