"""Calls the hooks of a tuning method while the Trainer runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.loop.stages import Stages

if TYPE_CHECKING:
    from torch import Tensor

    from peftsearch.backbones.classifier import Classifier


class MethodHooks(TrainerCallback):
    """Calls `EncoderMethod.begin`, `before_step` and `after_step`, and enters the method's stages epoch by epoch."""

    def __init__(self, model: Classifier, config: TrialConfig) -> None:
        self.method = ENCODER_METHODS[config.method]
        self.settings = config.settings
        self.encoder = model.encoder
        self.stages = Stages(model, config)

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.method.begin(self.encoder, self.settings, state.max_steps)

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.stages.enter(round(state.epoch or 0))

    def state(self) -> Mapping[str, Tensor]:
        """What the method's hooks keep between steps."""
        return self.method.hook_state(self.encoder)

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Give the method's hooks what `state` returned in an interrupted training."""
        self.method.restore_hook_state(self.encoder, state)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.stages.leave()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.method.before_step(self.encoder, self.settings)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.method.after_step(self.encoder, self.settings, state.global_step + 1)
