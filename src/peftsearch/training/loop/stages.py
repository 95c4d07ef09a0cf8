"""Which parameters are trainable in each epoch, for methods that freeze and thaw them as training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import ENCODER_METHODS

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier


class Stages:
    """Freezes and thaws a model's parameters as its method's epochs demand.

    Outside the epochs (before training, and when the best weights are loaded) every parameter is trainable that any
    epoch trains.
    """

    def __init__(self, model: Classifier, config: TrialConfig) -> None:
        self._all = {name: p for name, p in model.named_parameters() if p.requires_grad}
        own = ENCODER_METHODS[config.method].stages(model.encoder, config.settings, config.training.epochs)
        head = {name for name in self._all if name.startswith("head.")}
        self._length = config.training.epochs
        self._epochs = [head.union(f"encoder.{name}" for name in names) for names in own]

    def enter(self, epoch: int) -> None:
        """Thaw what `epoch` trains and freeze the rest. The first epoch is 0."""
        if self._epochs:
            for name, parameter in self._all.items():
                parameter.requires_grad_(name in self._epochs[epoch])

    def leave(self) -> None:
        """Thaw every parameter that any epoch trains."""
        for parameter in self._all.values():
            parameter.requires_grad_(True)

    def each(self) -> Iterator[int]:
        """Enter each stage in turn, and yield its first epoch while the model is in it."""
        for epoch in sorted(set(self.alike())):
            self.enter(epoch)
            yield epoch
        self.leave()

    def alike(self) -> list[int]:
        """For each epoch, the first one that trains the same parameters."""
        return [self._epochs.index(names) for names in self._epochs] or [0] * self._length

    def counts(self) -> list[int]:
        """The number of trainable parameters in each epoch."""
        names = self._epochs or [set(self._all)] * self._length
        return [sum(self._all[name].numel() for name in trained) for trained in names]

    def first_epoch(self, name: str) -> int:
        """The first epoch that trains the parameter `name`; 0 if none does."""
        return next((epoch for epoch, names in enumerate(self._epochs) if name in names), 0)
