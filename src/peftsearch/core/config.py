"""The complete description of one trial: the same config on the same data, machine and CPU gives the same result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, ClassVar, get_type_hints

from peftsearch.core.dimensions import Choice, Dimension, Range, Scalar
from peftsearch.core.objectives import DEFAULT_METRIC
from peftsearch.core.strategies import PRUNERS, SAMPLERS

Seed = Annotated[int, Range(0, 2**32 - 1, integer=True)]

STRICT = {"extra": "forbid"}
"""Pydantic's setting by which a section of a study file may have no key that its class lacks."""


@dataclass(frozen=True)
class EarlyStopping:
    """Stop after `patience` epochs in a row, none better than the best before by more than `threshold`.

    Attributes:
        patience: how many epochs in a row may bring nothing before the trial ends.
        threshold: by how much the validation metric must exceed the best before it, so that an epoch has brought
            something.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    patience: Annotated[int, Range(1, 10_000, integer=True)]
    threshold: Annotated[float, Range(0.0, 1.0)] = 0.0


def idle_epochs(scores: Sequence[float], threshold: float) -> int:
    """How many epochs in a row, up to the last, were not better than the best before by more than `threshold`."""
    idle, best = 0, -math.inf
    for score in scores:
        idle = 0 if score > best + threshold else idle + 1
        best = score if idle == 0 else best
    return idle


@dataclass(frozen=True)
class TrainingConfig:
    """How any method is trained: the `training:` section. Each field's annotation says which values are valid.

    Attributes:
        epochs: how often each training row is read; `early_stopping` and the pruner may end a trial before.
        batch_size: the rows of a step. Where memory is short, a batch is divided, and the step stays the same.
        weight_decay: AdamW's weight decay; biases and norms are not decayed.
        warmup: share of all steps in which the learning rate rises, 0..1.
        schedule: how the learning rate goes on after the warm-up: down to 0 in a line or along a cosine, or constant.
        label_smoothing: share of each row's target that is spread evenly over all classes.
        class_weights: `balanced` weighs each class by the inverse of its share of the training rows.
        focal_gamma: exponent of the focal loss, which weighs a row less the surer its label is; 0 is cross entropy.
        max_grad_norm: gradients are clipped to this norm; 0 turns clipping off.
        precision: the number format of the computation. `auto` measures steps of the study's encoder, and takes the
            most exact format that no other one beats by a tenth.
        seed: the seed of a trial's training: the head's first weights, the order of the rows, dropout.
        early_stopping: ends a trial that no longer improves; without it, every trial runs all of its epochs.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    epochs: Annotated[int, Range(1, 10_000, integer=True)] = 3
    batch_size: Annotated[int, Range(1, 65_536, integer=True)] = 32
    weight_decay: Annotated[float, Range(0.0, 10.0)] = 0.01
    warmup: Annotated[float, Range(0.0, 1.0)] = 0.1
    schedule: Annotated[str, Choice(("linear", "cosine", "constant"))] = "linear"
    label_smoothing: Annotated[float, Range(0.0, 0.9)] = 0.0
    class_weights: Annotated[str, Choice(("none", "balanced"))] = "none"
    focal_gamma: Annotated[float, Range(0.0, 10.0)] = 0.0
    max_grad_norm: Annotated[float, Range(0.0, 1e6)] = 1.0
    precision: Annotated[str, Choice(("auto", "fp32", "tf32", "bf16", "fp16"))] = "auto"
    seed: Seed = 42
    early_stopping: EarlyStopping | None = None


@dataclass(frozen=True)
class SearchConfig:
    """How configurations are proposed and stopped: the `search:` section.

    Attributes:
        sampler: what proposes configurations: `tpe` models which settings good trials had; `ehvi` takes turns with it
            and proposes what would enlarge the front most; `random` learns nothing.
        pruner: when a running trial is stopped: `dominated`, where a finished trial dominates all that it can be
            expected to reach; `median`, where it has scored less than the median of its method's trials at the same
            epoch; `none`, never.
        seed: the sampler's seed.
        startup_trials: how many random configurations are tried before the sampler's model proposes any.
        portfolio: whether configurations that did well on recorded learning curves are tried after each method's
            default settings: half as many as the study has methods, as far as its ranges hold them.
        retime: whether the training times of the front are measured again at the end of a search in which trials shared
            a GPU, alone and in turns.
        reference_device: the device whose seconds are compared, by a part of its name as in `A10G` or `2 threads`;
            those of other devices are multiplied by a measured factor. By default it is the one that was timed first.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    sampler: Annotated[str, Choice(tuple(SAMPLERS))] = "ehvi"
    pruner: Annotated[str, Choice(tuple(PRUNERS))] = "dominated"
    seed: Seed = 0
    startup_trials: Annotated[int, Range(1, 10_000, integer=True)] = 6
    portfolio: Annotated[bool, Choice((False, True))] = True
    retime: Annotated[bool, Choice((False, True))] = True
    reference_device: str | None = None


SEARCHABLE_TRAINING: tuple[str, ...] = (
    *("batch_size", "weight_decay", "warmup", "schedule"),
    *("label_smoothing", "class_weights", "focal_gamma", "epochs"),
)
"""Fields of `TrainingConfig` that a method may search as a dimension of its own."""


NEWER_FIELDS = ("tokenizer", "tokenizer_revision", "measure")
"""Fields of `TrialConfig` that trials of the first versions do not have."""


def valid_field_values(config: type) -> dict[str, Dimension]:
    """Which values are valid for each field of a config class that says so in its annotation."""
    hints = get_type_hints(config, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")}


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
        evaluate: objectives that 🤗 Evaluate computes, `evaluate:NAME` each.
        measure: objectives that a trial measures only if it is asked to. All others are always measured.
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
    measure: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON data, without newer fields that the study does not set, so that the keys of older trials stay equal."""
        data = asdict(replace(self, settings=dict(self.settings)))
        return {name: value for name, value in data.items() if value or name not in NEWER_FIELDS}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrialConfig:
        training = dict(data["training"])
        stopping = training.get("early_stopping")
        training["early_stopping"] = EarlyStopping(**stopping) if stopping else None
        names = {field: tuple(data.get(field, ())) for field in ("evaluate", "measure")}
        return cls(**{**data, "training": TrainingConfig(**training), **names})

    def key(self) -> str:
        """Equal for two configs exactly when training either would be the same work."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
