"""Hand-made learning curves: running trials, and complete ones to judge them by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport
from peftsearch.storage.records import Record

OBJECTIVE_NAMES = ("macro_f1", "trainable_parameters", "train_seconds")


def config(method: str = "lora", epochs: int = 4, stopping: EarlyStopping | None = None) -> TrialConfig:
    return TrialConfig("b", method, {}, TrainingConfig(epochs=epochs, early_stopping=stopping))


def reports(
    scores: Sequence[float], seconds: float | Sequence[float] = 1.0, parameters: int = 100
) -> tuple[EpochReport, ...]:
    each = [seconds] * len(scores) if isinstance(seconds, float) else list(seconds)
    return tuple(
        EpochReport(i + 1, 0.0, 0.0, {"macro_f1": score}, each[i], 0.1, parameters) for i, score in enumerate(scores)
    )


def running(scores: Sequence[float], like: TrialConfig | None = None, **kwargs: object) -> Record:
    return Record(99, "running", like or config(), curve=reports(scores, **kwargs))  # type: ignore[arg-type]


def done(number: int, scores: Sequence[float], method: str = "lora", **kwargs: object) -> Record:
    curve = reports(scores, **kwargs)  # type: ignore[arg-type]
    values = {
        "macro_f1": max(scores),
        "trainable_parameters": float(curve[0].trainable_parameters),
        "train_seconds": sum(report.train_seconds for report in curve),
    }
    return Record(number, "complete", config(method, len(scores)), values, curve=curve)


FIVE = [done(i, [0.5, 0.58, 0.62, 0.64], seconds=2.0, parameters=1000) for i in range(5)]
"""Curves from which others are forecast; they dominate nothing here, since they take long."""

GOOD = done(7, [0.7, 0.8, 0.85, 0.86], seconds=0.5, parameters=90)


def as_matthews(record: Record, stopping: EarlyStopping | None = None) -> Record:
    """The same curve on the scale of -1..1."""
    assert record.config
    curve = tuple(replace(r, metrics={"matthews_correlation": 2 * r.metrics["macro_f1"] - 1}) for r in record.curve)
    training = replace(record.config.training, early_stopping=stopping)
    values = {"matthews_correlation": 2 * record.values.get("macro_f1", 0) - 1, "train_seconds": 2.0}
    chosen = replace(record.config, selection="matthews_correlation", training=training)
    return replace(record, config=chosen, curve=curve, values=values)
