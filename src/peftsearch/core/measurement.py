"""What a trial reports after every epoch, and what it measured in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from peftsearch.core.seconds import timed_in

if TYPE_CHECKING:
    from peftsearch.core.trained import TrainedModel

MIB = 1024 * 1024
"""The bytes of a MiB, the unit of every size."""

Clock = Literal["processor", "wall"]
"""Processor time of the thread that trains, or the wall clock."""


@dataclass(frozen=True)
class EpochReport:
    """One epoch on the validation split.

    Attributes:
        epoch: 1 for the first.
        train_loss: mean over the epoch's steps.
        validation_loss: mean over the rows, without label smoothing.
        metrics: `accuracy`, `macro_f1`, `weighted_precision`, … (see `training.metrics`).
        train_seconds: this epoch's forward, backward, step and reading of data, by the trial's clock.
        evaluation_seconds: this epoch's evaluation, by the same clock.
        trainable_parameters: during this epoch (gradual unfreezing changes them).
        wall_seconds: `train_seconds` by the wall clock; older trials do not say.
        evaluation_wall_seconds: `evaluation_seconds` by the wall clock; older trials do not say.
        trained: the model as the epoch left it, to be saved before training goes on; None once that is past.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    metrics: Mapping[str, float]
    train_seconds: float
    evaluation_seconds: float
    trainable_parameters: int
    wall_seconds: float | None = None
    evaluation_wall_seconds: float | None = None
    trained: TrainedModel | None = field(default=None, repr=False, compare=False)

    @property
    def duration(self) -> float:
        """The seconds that passed while it was trained and evaluated. Older trials were timed by the wall clock."""
        both = ((self.wall_seconds, self.train_seconds), (self.evaluation_wall_seconds, self.evaluation_seconds))
        return sum(own if wall is None else wall for wall, own in both)

    def to_dict(self) -> dict[str, Any]:
        """One flat object: the metrics stand beside the rest."""
        flat = {name: getattr(self, name) for name in self.__dataclass_fields__ if name not in ("metrics", "trained")}
        return {**flat, **self.metrics}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EpochReport:
        own = {name: data[name] for name in cls.__dataclass_fields__ if name in data and name != "metrics"}
        return cls(**own, metrics={k: v for k, v in data.items() if k not in own})


@dataclass(frozen=True)
class ClassReport:
    """How each class of a split was labelled. Everything else of it follows from the cells.

    Attributes:
        labels: the classes, in the order of the data's labels.
        cells: (true class, predicted class, rows) where there are rows, both as places in `labels`: a matrix of a
            thousand classes has a million cells, nearly all of them empty.
    """

    labels: tuple[str, ...]
    cells: tuple[tuple[int, int, int], ...]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ClassReport:
        return cls(tuple(data["labels"]), tuple((true, predicted, rows) for true, predicted, rows in data["cells"]))

    def matrix(self) -> list[list[int]]:
        """The confusion matrix: rows of the split by true class, then by predicted class."""
        size = len(self.labels)
        matrix = [[0] * size for _ in range(size)]
        for true, predicted, rows in self.cells:
            matrix[true][predicted] = rows
        return matrix

    def scores(self) -> list[ClassScore]:
        """One for each class, in their order."""
        matrix = self.matrix()
        columns = [sum(column) for column in zip(*matrix, strict=True)]
        return [
            ClassScore.counted(label, matrix[place][place], columns[place], sum(matrix[place]))
            for place, label in enumerate(self.labels)
        ]


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, each 0 where it is not defined; `support` is the class's rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int

    @classmethod
    def counted(cls, label: str, right: int, predicted: int, support: int) -> ClassScore:
        """From counts of rows."""
        return cls(
            label,
            precision=right / predicted if predicted else 0.0,
            recall=right / support if support else 0.0,
            f1=2 * right / (predicted + support) if predicted + support else 0.0,
            support=support,
        )


@dataclass(frozen=True)
class SplitScores:
    """A finished classifier on one split.

    Attributes:
        metrics: as a `Measurement`'s, and the mean loss under `SPLIT_loss`.
    """

    metrics: Mapping[str, float]
    classes: ClassReport

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SplitScores:
        return cls(data["metrics"], ClassReport.from_dict(data["classes"]))


@dataclass(frozen=True)
class Measurement:
    """One finished trial; metrics are the best epoch's, whose weights are the trial's.

    Attributes:
        train_seconds: all epochs run: forward, backward, step, reading of data, and nothing else; by `clock`.
        evaluation_seconds: all evaluations of the validation split; by `clock`.
        evaluation_samples_per_second: rows of the validation split per second of evaluation.
        peak_memory_mb: MiB; on a GPU the allocator's peak of this trial, on a CPU the growth of the process.
        trainable_parameters: the largest count of any epoch, head included.
        micro_batch_size: rows per forward pass; below the batch size where memory was short.
        padding_share: share of the training tokens that was padding.
        prefix_seconds: of `train_seconds`, computing the states of a frozen prefix once. Charged in full whichever
            trial computed them, so that no trial's cost depends on those before it.
        actual_train_seconds: what the training took on this machine by the wall clock, without what an earlier trial
            had computed; None in older records.
        versions: of the packages that decide the result.
        classes: of the best epoch; trials of older versions have none.
        threads: the CPU threads that the trial computed with; trials of older versions do not say.
        model_size_mb: MiB of the files with what the classifier does not share with the pretrained backbone: the
            tensors of its method and its head, or all files of a method without a backbone; older trials do not say.
        latency_ms: the 95th percentile of the milliseconds that one text takes, as exported; None unless it was asked
            for (`TrialConfig.measure`). So is `median_latency_ms`.
        exact: whether it was trained without the speed-ups that change results (`--exact`); older trials do not say.
        out_of_time: whether the search's time limit ended it, so that more epochs might have made it better.
        clock: what the seconds are by: the wall clock on a GPU and in older trials.
        wall_seconds: `train_seconds` by the wall clock; older trials do not say.
        searched_train_seconds: what `train_seconds` was in the search, where it was measured again, alone; else None.
        scaled_by: by what `train_seconds` was multiplied, so that it is that of the study's reference device; None
            where it is the device's own. What is kept with a trial never is scaled.
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
    prefix_seconds: float = 0.0
    actual_train_seconds: float | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    classes: ClassReport | None = None
    threads: int | None = None
    exact: bool | None = None
    out_of_time: bool = False
    model_size_mb: float | None = None
    latency_ms: float | None = None
    median_latency_ms: float | None = None
    clock: Clock = "wall"
    wall_seconds: float | None = None
    searched_train_seconds: float | None = None
    scaled_by: float | None = None

    @property
    def cut_after(self) -> int | None:
        """The epoch after which the search's time limit ended it; None if it did not."""
        return self.epochs if self.out_of_time else None

    @property
    def timed_in(self) -> str:
        """What its seconds are (`core.seconds.timed_in`)."""
        return timed_in(self.clock, self.device, exact=bool(self.exact))

    @property
    def own_train_seconds(self) -> float:
        """`train_seconds` as the trial's own device has measured it."""
        return self.train_seconds / (self.scaled_by or 1.0)

    @property
    def duration(self) -> float:
        """The seconds that passed in its training, or in an equal one. Older trials were timed by the wall clock."""
        return self.train_seconds if self.wall_seconds is None else self.wall_seconds

    def after(self, epoch: int, curve: Sequence[EpochReport]) -> Measurement:
        """As it would be if the training had ended after an epoch, under the schedule of all epochs.

        Memory, size and latency hardly change within a trial, and stay as they are; `classes` are known of the best
        epoch only.

        Args:
            epoch: 1 for the first.
            curve: the trial's, at least up to this epoch.
        """
        until = curve[:epoch]
        wall = None if self.wall_seconds is None else sum(report.wall_seconds or 0.0 for report in until)
        saved = None if self.actual_train_seconds is None else (self.wall_seconds or 0.0) - self.actual_train_seconds
        return replace(
            self,
            metrics={**until[-1].metrics, "validation_loss": until[-1].validation_loss},
            best_epoch=epoch,
            epochs=epoch,
            trainable_parameters=max(report.trainable_parameters for report in until),
            train_seconds=sum(report.train_seconds for report in until),
            evaluation_seconds=sum(report.evaluation_seconds for report in until),
            actual_train_seconds=None if wall is None or saved is None else wall - saved,
            classes=self.classes if epoch == self.best_epoch else None,
            out_of_time=False,
            wall_seconds=wall,
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measurement:
        classes = data.get("classes")
        return cls(**{**data, "classes": ClassReport.from_dict(classes) if classes else None})
