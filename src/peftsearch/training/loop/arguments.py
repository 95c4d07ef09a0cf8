"""A trial's configuration as transformers' `TrainingArguments`."""

from __future__ import annotations

import os

from transformers import TrainingArguments
from transformers.utils import is_torch_tf32_available

from peftsearch.core.config import TrialConfig
from peftsearch.training.compute import Compute
from peftsearch.training.precision.number_formats import TF32

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""A study's name for a schedule → transformers' name. Each rises over the warm-up first."""


def training_arguments(config: TrialConfig, compute: Compute, folder: str) -> TrainingArguments:
    """The Trainer's arguments for one trial; the Trainer may write to `folder`, of which nothing is kept."""
    # transformers 4.57 sets this variable to bf16 or fp16 and never resets it: a later trial in fp32 would inherit it.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no"
    training, device = config.training, compute.device.type
    arguments = TrainingArguments(
        output_dir=folder,
        num_train_epochs=training.epochs,
        per_device_train_batch_size=compute.micro_batch,
        gradient_accumulation_steps=training.batch_size // compute.micro_batch,
        per_device_eval_batch_size=compute.evaluation_batch,
        lr_scheduler_type=SCHEDULES[training.schedule],
        warmup_ratio=training.warmup,
        max_grad_norm=training.max_grad_norm,
        seed=training.seed,
        data_seed=training.seed,
        bf16=compute.precision == "bf16",
        fp16=compute.precision == "fp16",
        tf32=compute.precision in TF32 and is_torch_tf32_available(),
        use_cpu=device == "cpu",
        dataloader_pin_memory=device == "cuda",
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=["labels"],
    )
    _use_one_gpu(arguments)
    return arguments


def _use_one_gpu(arguments: TrainingArguments) -> None:
    """Keep the Trainer from splitting each batch over all visible GPUs, as it would in a notebook.

    transformers 4.57 has no public setting for that: `n_gpu` can only be read, and CUDA_VISIBLE_DEVICES counts only
    before torch starts. A worker sees a single GPU anyway.
    """
    arguments._n_gpu = min(arguments.n_gpu, 1)
