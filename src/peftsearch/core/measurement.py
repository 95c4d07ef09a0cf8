"""What a trial reports after every epoch, and what it measured in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class EpochReport:
    """One epoch on the validation split.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's steps.
        validation_loss: mean over the rows, without label smoothing.
        metrics: `accuracy`, `macro_f1`, `weighted_precision`, … (see `training.metrics`), each in 0..1.
        train_seconds: this epoch's forward, backward, step and waiting for data.
        evaluation_seconds: this epoch's evaluation.
        trainable_parameters: during this epoch (gradual unfreezing changes them).
    """

    epoch: int
    train_loss: float
    validation_loss: float
    metrics: Mapping[str, float]
    train_seconds: float
    evaluation_seconds: float
    trainable_parameters: int

    def to_dict(self) -> dict[str, Any]:
        """One flat object: the metrics stand beside the rest."""
        flat = {k: v for k, v in asdict(self).items() if k != "metrics"}
        return {**flat, **self.metrics}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpochReport:
        own = {name: data[name] for name in cls.__dataclass_fields__ if name != "metrics"}
        return cls(**own, metrics={k: v for k, v in data.items() if k not in own})


@dataclass(frozen=True)
class Measurement:
    """One finished trial; metrics are the best epoch's, whose weights are the trial's.

    Attributes:
        train_seconds: all epochs run: forward, backward, step, waiting for data, and nothing else.
        evaluation_seconds: all evaluations of the validation split.
        evaluation_samples_per_second: rows of the validation split per second of evaluation.
        peak_memory_mb: MiB; on a GPU the allocator's peak of this trial, on a CPU the growth of the process.
        trainable_parameters: the largest count of any epoch, head included.
        micro_batch_size: rows per forward pass; below the batch size where memory was short.
        padding_share: share of the training tokens that was padding.
        versions: of the packages that decide the result.
    """

    metrics: Mapping[str, float]
    best_epoch: int
    epochs: int
    trainable_parameters: int
    total_parameters: int
    train_seconds: float
    evaluation_seconds: float
    evaluation_samples_per_second: float
    peak_memory_mb: float
    device: str
    precision: str
    seed: int
    data_fingerprint: str
    micro_batch_size: int
    padding_share: float
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        return cls(**data)
