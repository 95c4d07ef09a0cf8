"""Numbers and settings as people read them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import SEARCHABLE_TRAINING, TrialConfig
from peftsearch.core.constraints import breaking
from peftsearch.core.dimensions import Dimension, Fixed, Range, Scalar, extremes
from peftsearch.core.errors import one_line
from peftsearch.core.front.tolerance import Margin, Tolerance, margins_of
from peftsearch.core.objectives import Objective, find_objective, is_metric
from peftsearch.methods.hyperparameters import Hyperparameter
from peftsearch.methods.table import METHODS

if TYPE_CHECKING:
    from peftsearch.core.measurement import Measurement
    from peftsearch.storage.records import Record

SCALED = "~"
"""Before the seconds of another kind of device than the reference (`report.audit.scaled_in_words`)."""


def count_in_words(count: float) -> str:
    """A whole number, abbreviated from a million upwards.

    >>> count_in_words(22_713_216), count_in_words(299526)
    ('22.7 M', '299,526')
    """
    for size, sign in ((1e9, "B"), (1e6, "M")):
        if count >= size:
            return f"{count / size:.3g} {sign}"
    return f"{count:,.0f}"


def value_in_words(value: Scalar, digits: int = 3) -> str:
    """A setting's value as a study file may write it, with one significant digit less for a small number.

    Args:
        digits: the significant digits of a number.

    >>> [value_in_words(v) for v in (0.000312, 0.1, 8, True, "all", "")]
    ['3.1e-4', '0.1', '8', 'true', 'all', '""']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float):
        return str(value) or '""'
    if value == 0 or abs(value) >= 0.01:
        return f"{value:.{digits}g}"
    mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
    return f"{mantissa.rstrip('0').removesuffix('.')}e{int(exponent)}"


def dimension_in_words(dimension: Dimension) -> str:
    """A dimension with the values as a study file may write them, every digit of them.

    >>> dimension_in_words(Range(1e-5, 5e-4, log=True)), dimension_in_words(Fixed(""))
    ('1e-5 … 5e-4 (log)', '""')
    """
    ends = [value_in_words(value, 15) for value in extremes(dimension)]
    if isinstance(dimension, Range):
        return " … ".join(ends) + (" (log)" if dimension.log else "")
    return " | ".join(ends)


def objective_in_words(name: str, value: float) -> str:
    """An objective's value with the number of decimals that the objective states, without its unit."""
    objective = find_objective(name)
    return count_in_words(value) if objective.unit == "parameters" else f"{value:,.{objective.digits}f}"


def objective_with_unit(name: str, value: float, measured: Measurement | None = None) -> str:
    """An objective within a sentence: `macro F1 0.8123`, `299,526 trainable parameters`, `train time 8.13 s`.

    Args:
        measured: what the value is of, if it may be of another kind of device; such seconds are marked.
    """
    words, unit = scaled_mark(name, measured) + objective_in_words(name, value), find_objective(name).unit
    if is_metric(name):
        return f"{objective_label(name)} {words}"
    return f"{words} trainable {unit}" if unit == "parameters" else f"{objective_label(name)} {words} {unit}"


def enumerated(words: Iterable[str]) -> str:
    """At least one word, within a sentence.

    >>> enumerated(["lora"]), enumerated(["full", "lora", "probe"])
    ('lora', 'full, lora and probe')
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def scaled_mark(name: str, measured: Measurement | None) -> str:
    """What stands before a value that was not measured in the seconds in which it is shown; empty before others."""
    scaled = measured is not None and measured.scaled_by is not None
    return SCALED if scaled and find_objective(name).known == "time" else ""


def objective_label(name: str) -> str:
    """The objective's name without its unit.

    >>> [objective_label(name) for name in ("macro_f1", "train_seconds", "peak_memory_mb")]
    ['macro F1', 'train time', 'peak memory']
    """
    bare = name.replace("_seconds", "_time")
    for unit in ("_mb", "_ms", "_parameters"):
        bare = bare.removesuffix(unit)
    return bare.replace("_", " ").replace("f1", "F1")


def objective_heading(objective: Objective) -> str:
    """The heading of an objective's column: its name and, on a second line, its unit."""
    return f"{objective_label(objective.name)}\n{objective.unit}"


def settings_in_words(
    config: TrialConfig, hyperparameters: Mapping[str, Hyperparameter], training: Collection[str]
) -> str:
    """The settings that set a configuration apart: those that are searched, and those that differ from their default.

    Args:
        config: the trial's configuration.
        hyperparameters: the method's hyperparameters with their defaults, in the order in which they are listed.
        training: the fields of the training section to list.
    """
    names = sorted(config.settings, key=lambda name: [*hyperparameters, name].index(name))
    listed = {name: config.settings[name] for name in names if _is_listed(name, config.settings[name], hyperparameters)}
    listed |= {name: getattr(config.training, name) for name in SEARCHABLE_TRAINING if name in training}
    known = {name: h.short_name for name, h in hyperparameters.items() if h.short_name}
    return ", ".join(_setting(known.get(name, name.replace("_", " ")), value) for name, value in listed.items())


def varied_training(configs: Iterable[TrialConfig]) -> set[str]:
    """The searchable fields of the training section in which these configurations differ."""
    trainings = [config.training for config in configs]
    return {name for name in SEARCHABLE_TRAINING if len({getattr(training, name) for training in trainings}) > 1}


def searchable_settings(config: TrialConfig) -> dict[str, Any]:
    """Every hyperparameter of the trial that a study can search, by name.

    The training section has no effect on a method that takes no steps, so its fields are not among them.
    """
    method = METHODS.get(config.method)
    fields = SEARCHABLE_TRAINING if method is None or method.takes_steps else ()
    return {**config.settings, **{name: getattr(config.training, name) for name in fields}}


def duration(seconds: float) -> str:
    """A duration in its two largest units.

    >>> [duration(s) for s in (8.25, 75, 3700)]
    ['8 s', '1 min 15 s', '1 h 1 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _is_listed(name: str, value: Scalar, hyperparameters: Mapping[str, Hyperparameter]) -> bool:
    known = hyperparameters.get(name)
    return known is None or not isinstance(known.default, Fixed) or known.default.value != value


def _setting(name: str, value: Scalar) -> str:
    if isinstance(value, bool):
        return name if value else f"no {name}"
    return f"{name} {value_in_words(value)}"


def reason_in_words(record: Record) -> str:
    """Why a trial was pruned, failed or ended early, or which constraints it breaks, in one line; else empty."""
    if record.failure:
        kind, message = record.failure["kind"], record.failure.get("message", "")
        return f"{kind}: {one_line(message)}" if message.strip() else kind
    if record.measurement and record.measurement.out_of_time and record.config:
        cut = f"the time limit ended it after epoch {record.measurement.epochs} of {record.config.training.epochs}"
        return ", ".join(filter(None, (cut, breaking(record.checks))))
    return record.reason or breaking(record.checks)


def config_in_words(config: TrialConfig, training: Collection[str] = ()) -> str:
    """The settings that set a configuration apart, the method's own first.

    Args:
        config: the trial's configuration.
        training: the fields of the training section to list; a method that takes no steps has none.
    """
    method = METHODS.get(config.method)
    if method and not method.takes_steps:
        training = ()
    return settings_in_words(config, {**method.own, **method.hyperparameters} if method else {}, training)


def backbone_in_words(name: str) -> str:
    """The last part of a model's name, which tells the backbones of one study apart."""
    return name.rstrip("/").rsplit("/", 1)[-1]


def percent(share: float | None) -> str:
    """A share as a percentage: `0.0132` as `1.3 %`, and a dash if it is unknown."""
    if share is None:
        return "–"
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 else f"{value:.1f} %" if value >= 0.1 else f"{value:.2g} %"


def tolerance_in_words(objectives: Sequence[str], tolerance: Tolerance) -> list[str]:
    """One line on the values that count as equal; none if only the same values do.

    >>> tolerance_in_words(["macro_f1", "train_seconds"], {"macro_f1": Margin(0.005)})
    ['macro F1 within 0.005 and train time within 10 % + 0.1 s count as equal']
    """
    margins = margins_of(objectives, tolerance)
    found = [f"{_in_full(name)} within {_within(name, margin)}" for name, margin in margins.items()]
    if len(found) < 2:
        return [f"{one} counts as equal" for one in found]
    return [f"{', '.join(found[:-1])} and {found[-1]} count as equal"]


def _in_full(objective: str) -> str:
    known = find_objective(objective)
    return "trainable parameters" if known.unit == "parameters" else objective_label(objective)


def _within(objective: str, margin: Margin) -> str:
    known = find_objective(objective).unit
    unit = f" {known}" if known in ("s", "ms", "MiB", "texts/s") else ""
    if margin.relative:
        return f"{100 * margin.amount:g} %" + (f" + {margin.floor:g}{unit}" if margin.floor else "")
    return f"{margin.amount:,.10g}{unit}"
