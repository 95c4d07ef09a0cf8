"""Wires one model, its rows and our callbacks into a Hugging Face Trainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import SequentialSampler
from transformers import PrinterCallback, Trainer, TrainerCallback

from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import OutOfTime
from peftsearch.core.trained import TrainedModel
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.batches import LengthGroupedSampler
from peftsearch.training.compute import Compute
from peftsearch.training.loop.arguments import training_arguments
from peftsearch.training.loop.callbacks import EVALUATION_SECONDS, NO_PREFIX, AbortTrial, EpochRecorder, Report
from peftsearch.training.loop.loss import TrainingLoss, training_loss
from peftsearch.training.loop.method_hooks import MethodHooks
from peftsearch.training.loop.optimizer import adamw, warm_up_late_groups
from peftsearch.training.meter import Seconds, clock
from peftsearch.training.metrics.classification import ValidationScores
from peftsearch.training.resume.keeper import Pauses, StateKeeper
from peftsearch.training.rows import Split, TrialRows

if TYPE_CHECKING:
    from peftsearch.backbones.classifier import Classifier


class LengthGroupedTrainer(Trainer):
    """A Trainer whose batches hold rows of similar length, in training and in evaluation.

    The two samplers come from methods with an underscore, which is where transformers 4.57 lets a subclass choose them:
    whoever overrides the documented `get_train_dataloader` instead has to repeat how the Trainer makes a DataLoader.
    """

    def __init__(
        self,
        model: Classifier,
        rows: TrialRows,
        config: TrialConfig,
        compute: Compute,
        loss: TrainingLoss,
        scores: ValidationScores,
        callbacks: list[TrainerCallback],
        folder: str,
    ) -> None:
        takes_steps = ENCODER_METHODS[config.method].takes_steps
        super().__init__(
            model=model,
            args=training_arguments(config, compute, folder),
            data_collator=rows.collate,
            train_dataset=rows.train,
            eval_dataset=rows.validation,
            compute_loss_func=loss,
            compute_metrics=scores,
            optimizers=(adamw(model, config, compute.device) if takes_steps else None, None),
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        self._pool_batches = rows.pool_batches

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        clip, model = self.accelerator.clip_grad_norm_, self.model
        # transformers 4.57 passes `model.parameters()`, and reading that walks all modules in every step.
        self.accelerator.clip_grad_norm_ = lambda parameters, *how: clip(model.tensors, *how)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows: Split = train_dataset or self.train_dataset
        batch = self.args.train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(rows.lengths, batch, self.args.data_seed, self._pool_batches)

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)  # its rows are sorted by length already

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Leave the tensors to `StateKeeper`: transformers 4.57 would want all of the model's in a file here."""

    def evaluation_loop(self, *arguments: Any, **named: Any) -> Any:
        started = clock(self.args.device)
        found = super().evaluation_loop(*arguments, **named)
        found.metrics[EVALUATION_SECONDS] = (clock(self.args.device) - started).seconds
        return found

    def prediction_step(self, *arguments: Any, **named: Any) -> Any:
        with torch.inference_mode():  # 2 to 3 % faster than the no_grad of transformers 4.57
            return super().prediction_step(*arguments, **named)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        schedule = super().create_scheduler(num_training_steps, optimizer)
        warmup = self.args.get_warmup_steps(num_training_steps)
        return warm_up_late_groups(schedule, num_training_steps, warmup, int(self.args.num_train_epochs))


def train(
    model: Classifier,
    rows: TrialRows,
    config: TrialConfig,
    compute: Compute,
    report: Report,
    should_stop: Callable[[], bool],
    prefix_seconds: tuple[Seconds, Seconds] = NO_PREFIX,
    last_epoch: int | None = None,
    snapshot: Callable[[EpochRecorder], TrainedModel | None] = lambda _: None,
    pauses: Pauses | None = None,
) -> EpochRecorder:
    """Train `model` in place for the epochs of `config`; afterwards it holds the best epoch's weights.

    Args:
        report: called after every epoch.
        should_stop: asked after every step and every evaluated batch.
        prefix_seconds: what computing the frozen prefix of the training and of the validation rows took. The first
            epoch is charged with it.
        last_epoch: the epoch that ends the training and whose weights are kept in place of the best one's.
        snapshot: makes what an epoch's report carries as `trained`.
        pauses: where the state is kept after the epochs, and that from which the training goes on; None for neither.

    Raises:
        TrialFailure: the loss is not finite.
        Interrupted: `should_stop` said so. If it raises `OutOfTime` after an epoch, training just ends there.
        Exception: whatever `report` raises.
    """
    loss = training_loss(config.training, rows.train.labels, compute.device)
    scores = ValidationScores(rows.labels, config.evaluate, rows.validation.order)
    recorder = EpochRecorder(model, config, loss, scores, report, prefix_seconds, last_epoch, snapshot)
    hooks = MethodHooks(model, config)
    keeper = None if pauses is None else StateKeeper(pauses, recorder, hooks)
    callbacks = [hooks, recorder, AbortTrial(loss, should_stop), *([keeper] if keeper else [])]
    with tempfile.TemporaryDirectory(prefix="peftsearch-") as folder:
        trainer = LengthGroupedTrainer(model, rows, config, compute, loss, scores, callbacks, folder)
        if ENCODER_METHODS[config.method].takes_steps:
            _train_in_time(trainer, recorder, hooks, keeper.begin(trainer, folder) if keeper else None)
        else:
            trainer.evaluate()
    model.load_state_dict(recorder.best_weights, strict=False)
    return recorder


def _train_in_time(trainer: Trainer, recorder: EpochRecorder, hooks: MethodHooks, resumed: str | None) -> None:
    """Train to the end or, once a search has no more time, with the epochs that are done, if any is.

    Args:
        resumed: what `StateKeeper.begin` returned.
    """
    try:
        trainer.train(resume_from_checkpoint=resumed)
    except OutOfTime:
        if recorder.best is None:
            raise
        recorder.out_of_time = True
        hooks.stages.leave()  # the Trainer would have called it at the end
