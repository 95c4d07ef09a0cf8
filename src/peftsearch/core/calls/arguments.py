"""Checks what a Python program passes to a public function, before anything is done with it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from peftsearch.core.errors import UserError, nearest, shown
from peftsearch.core.files.disk import refusal

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Kind:
    """What an argument may be.

    Attributes:
        words: the same for a message, after "must be".
        fits: whether a value is of this kind.
    """

    words: str
    fits: Callable[[Any], bool]


def whole(least: int, most: int | None = None) -> Kind:
    """A whole number, which `True` and `False` are not."""
    words = f"a whole number, at least {least}" if most is None else f"a whole number from {least} to {most}"

    def fits(value: Any) -> bool:
        kind = isinstance(value, Integral) and not isinstance(value, bool)
        return kind and least <= value and (most is None or value <= most)

    return Kind(words, fits)


def number(words: str, above: bool = False) -> Kind:
    """A number of at least 0, or above it. Neither infinite nor NaN."""

    def fits(value: Any) -> bool:
        kind = isinstance(value, Real) and not isinstance(value, bool)
        return kind and (value > 0 if above else value >= 0) and value - value == 0

    return Kind(words, fits)


def is_a(*names: str) -> Callable[[Any], bool]:
    """Whether a value is of a class with one of these names, which stand on floors above this one."""
    return lambda value: any(base.__name__ in names for base in type(value).__mro__)


def is_path(value: Any) -> bool:
    return isinstance(value, str | Path) and bool(str(value)) and "\0" not in str(value)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def is_list(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes) and all(map(fits, value))


def is_trial(value: Any) -> bool:
    """Whether a value may name a trial or an epoch of one."""
    return is_text(value) or is_a("Point")(value) or whole(0).fits(value)


def by_name(names: Sequence[str], fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Whether a value is a mapping from some of `names` to values that fit."""
    return lambda value: (
        isinstance(value, Mapping) and all(key in names for key in value) and all(map(fits, value.values()))
    )


SPLITS = ("train", "validation", "test")
SECONDS = number("a number of seconds above 0", above=True)
TEXT = Kind("a text", is_text)
PATH = Kind("a path", is_path)
FLAG = Kind("True or False", lambda value: isinstance(value, bool))
FUNCTION = Kind("a function", callable)
STUDY = Kind(
    "the name of a study, the path of its file, or a study that is loaded",
    lambda value: isinstance(value, str | Path) or is_a("StudySpec", "StoredStudy")(value),
)
NAMES = Kind("a list of names, as in ['NAME']", lambda value: is_list(value, is_text))

ARGUMENTS: dict[str, Kind] = {
    **dict.fromkeys(("study", "config"), STUDY),
    "overrides": Kind("Overrides, as in Overrides(limit={'train': 500})", is_a("Overrides")),
    "trials": whole(1),
    "confirm_study.trials": Kind(
        "a list of trials, epochs or 'best', as in [1, '4@2']", lambda value: is_list(value, is_trial)
    ),
    "trial": Kind("a trial's number, an epoch of a trial, as '4@2', or 'best'", lambda value: is_trial(value)),
    **dict.fromkeys(("workers", "workers_per_device", "best", "seeds"), whole(1)),
    "run_study.workers": whole(0),
    "gpus_per_worker": number("a number of GPUs, at least 0, as in 0.5"),
    "seed": whole(0, 2**32 - 1),
    **dict.fromkeys(("texts", "cache_size"), whole(0)),
    **dict.fromkeys(("timeout", "trial_timeout"), SECONDS),
    "storage_patience": number("a number of seconds, at least 0"),
    **dict.fromkeys(("sampler", "pruner", "engine", "address", "label", "effort", "prefer", "repository"), TEXT),
    "storage": Kind("the URL of a database, as in 'sqlite:///runs/NAME.db'", is_text),
    "artifacts": Kind("a folder, the URL of a bucket as in 's3://bucket/folder', or 'none'", is_path),
    "fork": Kind("a name for the trials, as in 'second-try'", is_text),
    "like": Kind("the name of a study, or the URL of a database", is_text),
    **dict.fromkeys(("out", "file", "folder"), PATH),
    "source": Kind(
        "a path, a URL, or a dict with one for each split, as in {'train': 'rows.csv'}",
        lambda value: is_path(value) or (bool(value) and by_name(SPLITS, is_path)(value)),
    ),
    "text": Kind("a column or a list of two", lambda value: is_text(value) or NAMES.fits(value)),
    "backbones": NAMES,
    **dict.fromkeys(("max_train_seconds", "max_latency_ms", "max_size_mb"), number("a number, at least 0")),
    "max_parameters": Kind(
        "a number, at least 0, or a share such as '1%'",
        lambda value: is_text(value) or number("").fits(value),
    ),
    "min_quality": Kind("a number", lambda value: isinstance(value, Real) and not isinstance(value, bool)),
    **dict.fromkeys(("exact", "every_epoch", "until_flat", "until_done", "retime", "retrain", "other_packages"), FLAG),
    **dict.fromkeys(("overwrite", "adapter", "onnx", "int8", "private", "all_rows"), FLAG),
    **dict.fromkeys(("on_tick", "on_run", "say"), FUNCTION),
    "Overrides.source": Kind(
        "a dict with a file for each split, as in {'train': 'rows.csv'}", by_name(SPLITS, is_text)
    ),
    "Overrides.columns": Kind(
        "a dict with the columns text, pair or label, as in {'label': 'stars'}",
        by_name(("text", "pair", "label"), is_text),
    ),
    "Overrides.backbones": NAMES,
    "Overrides.tolerance": Kind(
        "'none' or a dict with an amount for each objective, as in {'macro_f1': 0.005}",
        lambda value: value is None or value == "none" or (isinstance(value, Mapping) and all(map(is_text, value))),
    ),
    "Overrides.every_epoch": Kind("True or False", lambda value: value is None or isinstance(value, bool)),
    "Overrides.limit": Kind("a dict with rows for each split, as in {'train': 500}", by_name(SPLITS, whole(1).fits)),
}
"""What each parameter of a public function may be, under its name, or under `FUNCTION.NAME` if it differs there."""


def check(owner: str, arguments: Mapping[str, Any]) -> None:
    """Refuse the first argument that is not of its kind.

    Args:
        owner: the function or class.
        arguments: values by the names of parameters.

    Raises:
        UserError: what the argument must be, and what it is.
    """
    for name, value in arguments.items():
        kind = ARGUMENTS.get(f"{owner}.{name}") or ARGUMENTS[name]
        if not kind.fits(value):
            raise UserError(f"{name} must be {kind.words}, but got {shown(value)}")


def checked(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """A public function that checks its arguments first, and tells in one line what the disk refuses.

    None is accepted where it is the default.
    """
    parameters = inspect.signature(function).parameters
    names = list(parameters)

    @functools.wraps(function)
    def checking(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        unknown = next((name for name in kwargs if name not in parameters), None)
        if unknown is not None:
            raise TypeError(f"{function.__name__}() has no parameter {unknown!r}; {nearest(unknown, names)}")
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        left_out = {name for name, value in given.items() if value is None and parameters[name].default is None}
        check(function.__name__, {name: value for name, value in given.items() if name not in left_out})
        try:
            return function(*args, **kwargs)
        except OSError as error:
            told = refusal(error)
            if told is None:
                raise
            raise told from error

    return checking
