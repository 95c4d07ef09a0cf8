"""The plain Trainer script that a person would write with all defaults; the benchmarks compare peftsearch with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

AfterEpoch = Callable[[int, float], None]
"""A function of an epoch, counted from 1, and its macro F1; it may raise to end the training."""


def train(
    config: Any,
    data: Any,
    folder: Path,
    now: Callable[[], float],
    *,
    padded: bool = False,
    bf16: bool = False,
    device: str = "cpu",
    epochs: int | None = None,
    after_epoch: AfterEpoch | None = None,
) -> dict[str, Any]:
    """Train `config` in random batches, in fp32, each padded to its longest text, or to `max_length` if `padded`.

    Args:
        bf16: sets the Trainer's `bf16=True`, as a user would whose hardware has it.

    Returns:
        Seconds of training by the clock `now`, macro F1 of every epoch, and the number of trainable parameters.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

    from peftsearch.backbones.loading import load_tokenizer, resolve
    from peftsearch.methods.build import build_classifier
    from peftsearch.methods.table import ENCODER_METHODS

    resolved = resolve(config.backbone)
    tokenizer = load_tokenizer(resolved)
    rows = _encoded(data, tokenizer, config.max_length, "max_length" if padded else False)
    set_seed(config.training.seed)
    model = build_classifier(resolved, ENCODER_METHODS[config.method], config.settings, len(data.labels))
    watch = _watch(now, after_epoch)
    Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=epochs or config.training.epochs,
            per_device_train_batch_size=config.training.batch_size,
            learning_rate=config.settings["learning_rate"],
            weight_decay=config.training.weight_decay,
            warmup_ratio=config.training.warmup,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
            seed=config.training.seed,
            label_names=["labels"],
            bf16=bf16,
            use_cpu=device == "cpu",
            disable_tqdm=True,
        ),
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_loss_func=lambda outputs, labels, **_: cross_entropy(outputs.logits, labels),
        compute_metrics=_macro_f1,
        callbacks=[watch],
    ).train()
    return {
        "train_seconds": watch.seconds,
        "macro_f1": watch.scores,
        "epochs": len(watch.scores),
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "threads": torch.get_num_threads(),
    }


def _encoded(data: Any, tokenizer: Any, max_length: int, padding: str | bool) -> dict[str, Any]:
    def encode(batch: dict[str, Any]) -> Any:
        return tokenizer(batch["text"], truncation=True, max_length=max_length, padding=padding)

    return {s: data.splits[s].map(encode, batched=True, remove_columns=["text"]) for s in ("train", "validation")}


def _macro_f1(predicted: Any) -> dict[str, float]:
    import numpy as np
    from sklearn.metrics import f1_score

    classes = np.asarray(predicted.predictions).argmax(-1)
    return {"macro_f1": float(f1_score(predicted.label_ids, classes, average="macro"))}


def _watch(now: Callable[[], float], after_epoch: AfterEpoch | None) -> Any:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        seconds = started = 0.0

        def __init__(self) -> None:
            self.scores: list[float] = []

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.started = now()

        def on_epoch_end(self, *_: Any, **__: Any) -> None:
            self.seconds += now() - self.started

        def on_evaluate(self, *_: Any, metrics: dict[str, float], **__: Any) -> None:
            self.scores.append(metrics["eval_macro_f1"])
            if after_epoch is not None:
                after_epoch(len(self.scores), self.scores[-1])

    return Watch()
