"""The Trainer of a trial, which trains a few steps only and times each of them."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from torch.utils.data import SequentialSampler
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import Interrupted
from peftsearch.training.compute import Compute
from peftsearch.training.loop.loss import TrainingLoss
from peftsearch.training.loop.method_hooks import MethodHooks
from peftsearch.training.loop.trainer import LengthGroupedTrainer
from peftsearch.training.meter import Seconds, clock
from peftsearch.training.metrics.classification import ValidationScores
from peftsearch.training.rows import TrialRows

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier


class StepClock(TrainerCallback):
    """Times every step of some epochs, from the end of the step before, once the device has finished it.

    Each other epoch ends after its first step, and no epoch is evaluated.

    Args:
        epochs: those to time, 0 for the first.

    Attributes:
        seconds: of each step, by the epoch.
    """

    def __init__(self, epochs: Collection[int], should_stop: Callable[[], bool]) -> None:
        self._should_stop = should_stop
        self._epoch = -1
        self._last = Seconds()
        self.seconds: dict[int, list[float]] = {epoch: [] for epoch in epochs}

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._epoch += 1
        self._last = clock(args.device)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        now = clock(args.device)
        if self._epoch in self.seconds:
            self.seconds[self._epoch].append((now - self._last).seconds)
        else:
            control.should_epoch_stop = True
        if self._should_stop():
            raise Interrupted("stopped while times were measured again")
        self._last = clock(args.device)

    def on_epoch_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        state.epoch = self._epoch + 1.0  # by which `MethodHooks` knows the next one, also after an epoch of one step
        control.should_evaluate = False
        control.should_training_stop = self._epoch >= max(self.seconds)


class _InOrder(LengthGroupedTrainer):
    """A Trainer that reads the rows in their own order."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(train_dataset or self.train_dataset)


def step_seconds(
    model: Classifier,
    rows: TrialRows,
    config: TrialConfig,
    compute: Compute,
    loss: TrainingLoss,
    epochs: Collection[int],
    should_stop: Callable[[], bool],
) -> dict[int, list[float]]:
    """Train `model` on `rows` in their order, and time every step of these epochs, 0 for the first.

    Raises:
        Interrupted: `should_stop`, which is asked after every step, said so.
    """
    steps = StepClock(epochs, should_stop)
    scores = ValidationScores(rows.labels, config.evaluate, rows.validation.order)
    callbacks = [MethodHooks(model, config), steps]
    with tempfile.TemporaryDirectory(prefix="peftsearch-") as folder:
        _InOrder(model, rows, config, compute, loss, scores, callbacks, folder).train()
    return steps.seconds
