"""What a study can optimise. An objective is one line of the table, or any metric of 🤗 Evaluate by its name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from peftsearch.core.errors import UserError, nearest
from peftsearch.core.measurement import MIB, Measurement

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
        bounds: the worst and the best value of a validation metric; without them no curve can be extrapolated. An
            error has none: it is that of the epoch with the best quality, which need not be the epoch of least error.
        of_parameters: for what is known at the `start`: trainable parameters → the value, or a bound that it keeps on
            the worse side of.
        on_request: whether a trial measures it only if its study asks for it, because that takes time.
        classes: how many classes the data must have, if not any number.
        equal_within: the share by which two values may differ and count as equal on a front, unless a study says
            otherwise (`core.front.tolerance`).
        noise_floor: by how much more they may differ, in the objective's unit.
    """

    name: str
    direction: Direction
    unit: str
    known: Known
    summary: str
    read: Callable[[Measurement], float]
    digits: int = 4
    bounds: tuple[float, float] | None = None
    classes: int | None = None
    of_parameters: Callable[[int], float] | None = None
    on_request: bool = False
    equal_within: float = 0.0
    noise_floor: float = 0.0


TIMING_NOISE = 0.1
"""The share within which times count as equal. On the recorded curves, trials of equal work differ by 5 % as a rule,
and by up to a third; `python -m benchmarks.timing_noise` measures it on the machine at hand."""

SHORTEST_SECONDS = 0.1
"""Differences below this say nothing about a method: a search timed fits of TF-IDF with 0.06 to 0.14 s, and kept a
useless one on the front for the 0.04 s that it was faster."""

FLOAT_BYTES = 4
"""The bytes of a trained number, which is a float32."""


def _measured(value: float | None) -> float:
    """Raises KeyError where an earlier version has not measured it, as a missing metric does."""
    if value is None:
        raise KeyError("not measured")
    return value


def _metric(name: str, summary: str, low: float = 0.0, classes: int | None = None) -> Objective:
    return Objective(
        name, "maximize", f"{low:g}..1", "curve", summary, lambda m: m.metrics[name], bounds=(low, 1.0), classes=classes
    )


OBJECTIVES: dict[str, Objective] = {
    "macro_f1": _metric("macro_f1", "mean of the classes' F1"),
    "weighted_f1": _metric("weighted_f1", "mean of the classes' F1, weighted by their rows"),
    "micro_f1": _metric("micro_f1", "F1 over all rows together; with one class a row it is the accuracy"),
    "f1_positive": _metric("f1_positive", "F1 of the positive class, the second of two", classes=2),
    "accuracy": _metric("accuracy", "share of rows labelled right"),
    "worst_class_f1": _metric("worst_class_f1", "least F1 of the classes that the split has"),
    "balanced_accuracy": _metric("balanced_accuracy", "mean recall of the classes that the split has"),
    "matthews_correlation": _metric("matthews_correlation", "correlation of labels and predictions; 0 is chance", -1.0),
    "macro_precision": _metric("macro_precision", "mean of the classes' precision"),
    "macro_recall": _metric("macro_recall", "mean of the classes' recall"),
    "weighted_precision": _metric("weighted_precision", "mean of the classes' precision, weighted by their rows"),
    "weighted_recall": _metric("weighted_recall", "mean of the classes' recall, weighted by their rows"),
    "micro_precision": _metric("micro_precision", "precision over all rows together"),
    "micro_recall": _metric("micro_recall", "recall over all rows together"),
    "expected_calibration_error": Objective(
        "expected_calibration_error", "minimize", "0..1", "curve",
        "mean distance of confidence and accuracy, in 15 bins of equal width (Guo et al. 2017)",
        lambda m: m.metrics["expected_calibration_error"]),
    "trainable_parameters": Objective(
        "trainable_parameters", "minimize", "parameters", "start", "tensors that training moves, head included",
        lambda m: float(m.trainable_parameters), digits=0, of_parameters=float),
    "model_size_mb": Objective(
        "model_size_mb", "minimize", "MiB", "start", "what is shipped beside a shared backbone",
        lambda m: _measured(m.model_size_mb), digits=2, of_parameters=lambda count: count * FLOAT_BYTES / MIB),
    "train_seconds": Objective(
        "train_seconds", "minimize", "s", "time",
        "forward, backward and step, in processor seconds on a CPU and by the wall clock on a GPU",
        lambda m: m.train_seconds, digits=2, equal_within=TIMING_NOISE, noise_floor=SHORTEST_SECONDS),
    "evaluation_seconds": Objective(
        "evaluation_seconds", "minimize", "s", "time", "all evaluations of the validation split",
        lambda m: m.evaluation_seconds, digits=2, equal_within=TIMING_NOISE, noise_floor=SHORTEST_SECONDS),
    "peak_memory_mb": Objective(
        "peak_memory_mb", "minimize", "MiB", "end", "peak memory of the trial", lambda m: m.peak_memory_mb, digits=0),
    "latency_ms": Objective(
        "latency_ms", "minimize", "ms", "end", "one text, 95th percentile, as exported: merged where the method merges",
        lambda m: _measured(m.latency_ms), digits=1, on_request=True, equal_within=TIMING_NOISE),
    "throughput": Objective(
        "throughput", "maximize", "texts/s", "end", "texts that the evaluation labels in a second, in batches",
        lambda m: m.evaluation_samples_per_second, digits=0, equal_within=TIMING_NOISE),
}  # fmt: skip

DEFAULT_METRIC = "macro_f1"
"""The metric of a study whose objectives name none."""

EVALUATE = "evaluate:"
"""Before the name of a metric of 🤗 Evaluate, as an objective's name."""

EVALUATE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
"""A metric that Hugging Face itself keeps: a path, or another account's name, would run code from there."""

ERRORS = frozenset({"mae", "mse", "mape", "smape", "mase", "brier_score", "wer", "cer", "ter", "perplexity"})
"""Metrics of 🤗 Evaluate of which less is better; it does not say so itself."""


OTHER_NAMES: dict[str, str] = {
    **dict.fromkeys(("f1", "f1_macro", "f1_score", "f-score"), "macro_f1"),
    **dict.fromkeys(("f1_micro",), "micro_f1"),
    **dict.fromkeys(("acc", "eval_accuracy"), "accuracy"),
    **dict.fromkeys(("mcc",), "matthews_correlation"),
    **dict.fromkeys(("ece", "calibration"), "expected_calibration_error"),
    **dict.fromkeys(("params", "parameters", "n_params", "num_parameters"), "trainable_parameters"),
    **dict.fromkeys(("time", "seconds", "training_time", "train_time"), "train_seconds"),
    **dict.fromkeys(("latency", "speed"), "latency_ms"),
    **dict.fromkeys(("memory",), "peak_memory_mb"),
    **dict.fromkeys(("size",), "model_size_mb"),
}
"""What other programs call objectives."""


def find_objective(name: str) -> Objective:
    """The line of the table, or for `evaluate:NAME` a metric of 🤗 Evaluate over class ids.

    Raises:
        KeyError: there is no such objective.
    """
    metric = name.removeprefix(EVALUATE)
    if metric == name or not EVALUATE_NAME.fullmatch(metric):
        return OBJECTIVES[name]
    direction: Direction = "minimize" if metric in ERRORS else "maximize"
    return Objective(name, direction, "score", "curve", f"{metric} of 🤗 Evaluate", lambda m: m.metrics[name])


def complaint_about(name: str) -> str | None:
    """Why `name` is no objective; None if it is one."""
    try:
        find_objective(name)
    except KeyError:
        if name.startswith(EVALUATE):
            return f"no objective {name!r}; after {EVALUATE!r} stands a metric's name, as in 'evaluate:accuracy'"
        known = OTHER_NAMES.get(name.casefold())
        return f"no objective {name!r}; {f'did you mean {known!r}?' if known else nearest(name, OBJECTIVES)}"
    return None


def is_metric(name: str) -> bool:
    """Whether the objective is a validation metric."""
    return find_objective(name).known == "curve"


def value_of(name: str, measurement: Measurement) -> float | None:
    """The objective's value; None if the trial has not measured it, as one of an earlier version may not have."""
    try:
        return find_objective(name).read(measurement)
    except KeyError:
        return None


def directions_of(objectives: Sequence[str]) -> tuple[Direction, ...]:
    """The direction of each objective, in their order."""
    return tuple(find_objective(name).direction for name in objectives)


def is_quality(name: str) -> bool:
    """Whether the objective is a validation metric of which more is better."""
    return is_metric(name) and find_objective(name).direction == "maximize"


def quality_objective(objectives: Sequence[str]) -> str:
    """The objective by which trials are ranked for people.

    It is the first validation metric that is maximised; without one the first error, which is a metric too; without
    that the first of all.
    """
    qualities = [name for name in objectives if is_quality(name)]
    return next(iter((*qualities, *filter(is_metric, objectives), *objectives)))


def selection_metric(objectives: Sequence[str]) -> str:
    """The validation metric that chooses a trial's best epoch: the first maximised one, or else macro F1.

    It differs from `quality_objective` only in a study that maximises no metric: an epoch is never chosen by a cost or
    an error.
    """
    return next(filter(is_quality, objectives), DEFAULT_METRIC)


def evaluate_metrics(objectives: Sequence[str]) -> tuple[str, ...]:
    """Those that 🤗 Evaluate computes."""
    return tuple(name for name in objectives if name.startswith(EVALUATE))


def on_request(names: Sequence[str]) -> tuple[str, ...]:
    """Those that a trial measures only if it is asked to."""
    return tuple(name for name in names if find_objective(name).on_request)


def check_classes(objectives: Sequence[str], labels: Sequence[str]) -> None:
    """Raises UserError if an objective needs another number of classes than the data has."""
    for name in objectives:
        needed = find_objective(name).classes
        if needed not in (None, len(labels)):
            some = ", ".join(labels[:3]) + (", …" if len(labels) > 3 else "")
            raise UserError(
                f"objective {name!r} needs {needed} classes, but the data has {len(labels)} ({some}); "
                f"take macro_f1 instead"
            )


def positive_class(objectives: Sequence[str], labels: Sequence[str]) -> str | None:
    """The class that `f1_positive` measures, if the study asks for it."""
    return labels[1] if "f1_positive" in objectives and len(labels) == 2 else None
