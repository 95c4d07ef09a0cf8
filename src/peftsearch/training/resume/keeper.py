"""Keeps the state of a training after its epochs, and lets a training go on from it, bit by bit as if uninterrupted.

The Trainer's own checkpoints are not used: transformers 4.57 writes them as pickles, with all tensors of the model. Of
its way to go on (`resume_from_checkpoint`) only `trainer_state.json` is taken, which tells it at which epoch to begin.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from peftsearch.core.errors import one_line
from peftsearch.core.files.disk import DiskFull, DiskRefuses
from peftsearch.core.measurement import ClassReport, EpochReport
from peftsearch.core.predictions import Predictions
from peftsearch.training.loop.callbacks import EpochRecorder
from peftsearch.training.loop.method_hooks import MethodHooks
from peftsearch.training.resume.randomness import numbers_of_generators, set_generators, tensors_of_generators
from peftsearch.training.resume.spent import Spent
from peftsearch.training.resume.state import TrainingState, read_state, write_state

SHARE = 0.05
"""Of the time since the last writing, what another one may be expected to take; else it waits for a later epoch."""

SECONDS_PER_BYTE = 1 / 300e6
"""What writing is taken to take before the first time."""


@dataclass(frozen=True)
class Pauses:
    """Where a training keeps its state, and what that must agree with.

    Attributes:
        origin: returns what must be the same where the training goes on, as JSON data.
        spent: what is spent apart from the epochs.
    """

    file: Path
    origin: Callable[[], Mapping[str, Any]]
    spent: Spent


class StateKeeper(TrainerCallback):
    """Writes the state after each epoch, unless that takes too long, and restores it where there is one.

    It comes after all other callbacks, so that an epoch which ends the training leaves no state.
    """

    def __init__(self, pauses: Pauses, recorder: EpochRecorder, hooks: MethodHooks) -> None:
        self._pauses = pauses
        self._recorder = recorder
        self._hooks = hooks
        self._state: TrainingState | None = None
        self._scaler: Any = None
        self._written = time.monotonic()
        self._pace = SECONDS_PER_BYTE
        self._refused = False

    def begin(self, trainer: Trainer, folder: str) -> str | None:
        """Take up the epochs of the state, if there is one, and report them again.

        Returns:
            `folder`, with what tells the Trainer where to begin; None to begin at the first epoch.

        Raises:
            Exception: whatever reporting an epoch raises.
        """
        self._scaler = trainer.accelerator.scaler
        self._state = read_state(self._pauses.file, self._pauses.origin()) if self._pauses.file.is_file() else None
        if self._state is None:
            return None
        about = self._state.about
        batch = trainer.args.train_batch_size
        told = TrainerState(epoch=float(len(about["reports"])), global_step=about["step"], train_batch_size=batch)
        told.save_to_json(str(Path(folder, "trainer_state.json")))
        self._pauses.spent.take_up(about["spent"])
        take_up_epochs(self._recorder, self._state)
        return folder

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any
    ) -> None:
        """The Trainer has made optimizer and schedule, and the method's hook has been called."""
        if self._state is not None:
            about = self._state.about
            copy_into(self._recorder.trained, self._state.part("trained"))
            parts["optimizer"].load_state_dict(optimizer_state(self._state))
            parts["lr_scheduler"].load_state_dict(dict(about["schedule"]))
            if self._scaler is not None and about["scaler"] is not None:
                self._scaler.load_state_dict(about["scaler"])
            self._hooks.restore(self._state.part("method"))

    def on_epoch_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self._state is not None:
            set_generators(self._state.about["generators"], self._state.part("generators"), args.device)
            self._state = None
            self._pauses.spent.leave_out_the_memory_so_far()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **parts: Any) -> None:
        if control.should_training_stop or state.global_step >= state.max_steps or self._refused:
            return
        found = self._current(args.device, state.global_step, parts["optimizer"], parts["lr_scheduler"])
        began = time.monotonic()
        if found.size * self._pace > SHARE * (began - self._written):
            return
        try:
            write_state(found, self._pauses.file)
        except (DiskFull, DiskRefuses, OSError) as error:
            print(f"the trial's state is not kept: {one_line(error)}", file=sys.stderr)
            self._refused = True
            return
        self._written = time.monotonic()
        self._pace = (self._written - began) / found.size

    def _current(self, device: torch.device, step: int, optimizer: Any, schedule: Any) -> TrainingState:
        recorder, steps = self._recorder, optimizer.state_dict()
        parts: dict[str, Mapping[str, Tensor]] = {
            "trained": recorder.trained,
            "best": {} if recorder.best is recorder.reports[-1] else recorder.best_weights,
            "method": self._hooks.state(),
            "generators": tensors_of_generators(device),
            "predictions": predictions_of(recorder),
            **{f"optimizer.{place}": tensors for place, tensors in steps["state"].items()},
        }
        about = {
            "origin": self._pauses.origin(),
            "spent": self._pauses.spent.to_dict(),
            "step": step,
            "reports": [report.to_dict() for report in recorder.reports],
            "best": recorder.best.epoch if recorder.best else None,
            "classes": asdict(recorder.best_classes) if recorder.best_classes else None,
            "groups": steps["param_groups"],
            "schedule": schedule.state_dict(),
            "scaler": self._scaler.state_dict() if self._scaler is not None else None,
            "generators": numbers_of_generators(),
        }
        named = {f"{part}.{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}
        return TrainingState(about, named)


def take_up_epochs(recorder: EpochRecorder, state: TrainingState) -> None:
    """Give a new recorder the epochs of `state` and the best one's weights, and report the epochs again.

    Raises:
        Exception: whatever reporting an epoch raises.
    """
    about, logits_and_labels = state.about, state.part("predictions")
    reports = [EpochReport.from_dict(report) for report in about["reports"]]
    best = next((report for report in reports if report.epoch == about["best"]), None)
    weights = state.part("best") or (state.part("trained") if best else {})
    classes = ClassReport.from_dict(about["classes"]) if about["classes"] else None
    predictions = Predictions(**{k: v.numpy() for k, v in logits_and_labels.items()}) if logits_and_labels else None
    recorder.take_up(reports, best, weights, classes, predictions)


def predictions_of(recorder: EpochRecorder) -> dict[str, Tensor]:
    """What the best epoch said about the validation rows, as tensors."""
    found = recorder.best_predictions
    if found is None:
        return {}
    return {"logits": torch.from_numpy(found.logits), "labels": torch.from_numpy(found.labels)}


def optimizer_state(state: TrainingState) -> dict[str, Any]:
    """What `Optimizer.load_state_dict` takes."""
    steps: dict[int, dict[str, Tensor]] = {}
    for key, tensor in state.part("optimizer").items():
        place, name = key.split(".")
        steps.setdefault(int(place), {})[name] = tensor
    return {"state": steps, "param_groups": state.about["groups"]}


def copy_into(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Copy each of `tensors` into the parameter of its name."""
    with torch.no_grad():
        for name, tensor in tensors.items():
            parameters[name].copy_(tensor)
