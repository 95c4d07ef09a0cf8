"""Calls a method's hooks while the Trainer runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import METHODS

if TYPE_CHECKING:
    from peftsearch.backbones.heads import Classifier


class MethodHooks(TrainerCallback):
    """`Method.begin`, `before_step` and `after_step` of the encoder in training."""

    def __init__(self, model: Classifier, config: TrialConfig) -> None:
        self.method = METHODS[config.method]
        self.settings = config.settings
        self.encoder = model.encoder

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.method.begin(self.encoder, self.settings, state.max_steps)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.method.before_step(self.encoder, self.settings)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.method.after_step(self.encoder, self.settings, state.global_step + 1)
