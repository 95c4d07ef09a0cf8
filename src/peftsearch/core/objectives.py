"""What a study can optimise. An objective is one line of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from peftsearch.core.measurement import Measurement

Direction = Literal["maximize", "minimize"]
Known = Literal["curve", "start", "time", "end"]


@dataclass(frozen=True)
class Objective:
    """One number read from a `Measurement`.

    Attributes:
        known: when a running trial's final value is known, which is what pruning needs:
            `start` before the first step; `time` grows in proportion to the epochs run;
            `curve` a validation metric of each epoch, to be extrapolated; `end` only afterwards.
        digits: decimals worth showing.
    """

    name: str
    direction: Direction
    unit: str
    known: Known
    summary: str
    read: Callable[[Measurement], float]
    digits: int = 4


def _metric(name: str, summary: str) -> Objective:
    return Objective(name, "maximize", "0..1", "curve", summary, lambda m: m.metrics[name])


OBJECTIVES: dict[str, Objective] = {
    "macro_f1": _metric("macro_f1", "mean of the classes' F1"),
    "weighted_f1": _metric("weighted_f1", "mean of the classes' F1, weighted by their rows"),
    "accuracy": _metric("accuracy", "share of rows labelled right"),
    "macro_precision": _metric("macro_precision", "mean of the classes' precision"),
    "macro_recall": _metric("macro_recall", "mean of the classes' recall"),
    "weighted_precision": _metric("weighted_precision", "mean of the classes' precision, weighted by their rows"),
    "weighted_recall": _metric("weighted_recall", "mean of the classes' recall, weighted by their rows"),
    "trainable_parameters": Objective(
        "trainable_parameters", "minimize", "parameters", "start", "tensors that training moves, head included",
        lambda m: float(m.trainable_parameters), digits=0),
    "train_seconds": Objective(
        "train_seconds", "minimize", "s", "time", "forward, backward, step and waiting for data",
        lambda m: m.train_seconds, digits=2),
    "evaluation_seconds": Objective(
        "evaluation_seconds", "minimize", "s", "time", "all evaluations of the validation split",
        lambda m: m.evaluation_seconds, digits=2),
    "peak_memory_mb": Objective(
        "peak_memory_mb", "minimize", "MiB", "end", "peak memory of the trial", lambda m: m.peak_memory_mb, digits=0),
}  # fmt: skip
