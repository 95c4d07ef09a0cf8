"""The complete description of one trial: the same config on the same data, machine and CPU gives the same result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from peftsearch.core.dimensions import Scalar
from peftsearch.core.objectives import DEFAULT_METRIC


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs in a row, none better than the best before by more than `threshold`."""

    patience: int
    threshold: float = 0.0


def idle_epochs(scores: Sequence[float], threshold: float) -> int:
    """How many epochs in a row, up to the last, were not better than the best before by more than `threshold`."""
    idle, best = 0, -math.inf
    for score in scores:
        idle = 0 if score > best + threshold else idle + 1
        best = score if idle == 0 else best
    return idle


@dataclass(frozen=True)
class TrainingConfig:
    """How any method is trained.

    Attributes:
        warmup: share of all steps with a rising learning rate.
        class_weights: `balanced` weighs each class by the inverse of its share of the training rows.
        focal_gamma: how much less a row counts in the loss the surer it is labelled right; 0 is cross entropy.
    """

    epochs: int = 3
    batch_size: int = 32
    weight_decay: float = 0.01
    warmup: float = 0.1
    schedule: str = "linear"
    label_smoothing: float = 0.0
    class_weights: str = "none"
    focal_gamma: float = 0.0
    max_grad_norm: float = 1.0
    precision: str = "auto"
    seed: int = 42
    early_stopping: EarlyStopping | None = None


SEARCHABLE_TRAINING: tuple[str, ...] = (
    *("epochs", "batch_size", "weight_decay", "warmup", "schedule"),
    *("label_smoothing", "class_weights", "focal_gamma"),
)
"""Fields of `TrainingConfig` that a method may search as a dimension of its own."""


@dataclass(frozen=True)
class TrialConfig:
    """One configuration to train.

    Attributes:
        backbone: the model's name as the study writes it.
        method: a key of `METHODS`.
        settings: every hyperparameter of the method with its value; none is left implicit.
        training: what all methods share.
        max_length: tokens per text (or pair) after truncation.
        selection: the validation metric by which the best epoch is chosen (larger is better).
        revision: the backbone's commit on the hub, if the study pins one.
        trust_remote_code: whether the backbone may bring its own code; needs `revision`.
        tokenizer: whose tokenizer reads the texts, if not the backbone's own.
        tokenizer_revision: its commit on the hub, if the study pins one.
        evaluate: objectives that 🤗 Evaluate computes, `evaluate:NAME` each; all others are always measured.
    """

    backbone: str
    method: str
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    training: TrainingConfig = TrainingConfig()
    max_length: int = 128
    selection: str = DEFAULT_METRIC
    revision: str | None = None
    trust_remote_code: bool = False
    evaluate: tuple[str, ...] = ()
    tokenizer: str | None = None
    tokenizer_revision: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON data; of the tokenizer only what differs from the backbone's own, as before a study could name one."""
        data = asdict(replace(self, settings=dict(self.settings)))
        return {name: value for name, value in data.items() if value is not None or not name.startswith("tokenizer")}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialConfig:
        training = dict(data["training"])
        stopping = training.get("early_stopping")
        training["early_stopping"] = EarlyStopping(**stopping) if stopping else None
        metrics = tuple(data.get("evaluate", ()))
        return cls(**{**data, "training": TrainingConfig(**training), "evaluate": metrics})

    def key(self) -> str:
        """Equal for two configs exactly when training either would be the same work."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
