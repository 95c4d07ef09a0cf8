"""Callbacks that turn what a user wrote after an option into a value, or say what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from peftsearch.core.files.run_folder import STUDY_NAME
from peftsearch.core.points import parse_point

BEST, NONE, RECOMMENDED = "best", "none", "recommended"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
UNITS = "KMGT"
SPLITS = ("train", "validation", "test")
DATA_KEYS = (*SPLITS, "text", "pair", "label")


def parse_size(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """`500M` or `2G` in bytes; the units are binary."""
    written = re.fullmatch(rf"(\d+(?:\.\d+)?)([{UNITS}]?)", (value or "").strip().upper())
    if value is not None and not written:
        raise click.BadParameter(f"{value!r} is not a size; write bytes, or a number with K, M, G or T, as in 2G")
    return int(float(written[1]) * 1024 ** (UNITS.index(written[2]) + 1 if written[2] else 0)) if written else None


def parse_trial(_: click.Context, __: click.Parameter, value: str) -> str:
    """A trial's number, an epoch of a trial as `7@3`, or `best`."""
    if value != BEST and parse_point(value) is None:
        raise click.BadParameter(f"{value!r} is neither a trial, as 7, nor an epoch of one, as 7@3, nor {BEST!r}")
    return value


def parse_exported_trial(context: click.Context, option: click.Parameter, value: str) -> str:
    """As `parse_trial`, or `recommended`."""
    if value != RECOMMENDED and value != BEST and parse_point(value) is None:
        either = f"neither a trial, as 7, nor an epoch of one, as 7@3, nor {BEST!r}, nor {RECOMMENDED!r}"
        raise click.BadParameter(f"{value!r} is {either}")
    return value


def parse_trials(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Each value of a repeated option, as `parse_trial` reads it."""
    return tuple(parse_trial(context, option, value) for value in values)


def parse_data(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """`train=a.csv,label=topic` as a mapping; a bare `a.csv` is the file to train on.

    A comma belongs to a file's name where no key follows it.
    """
    whole = tuple(f"train={part}" if part and "=" not in part.split(",")[0] else part for part in values)
    found = _parts(whole, DATA_KEYS, "NAME", "name one file for a split and one name for a column")
    for split in (split for split in SPLITS if split in found):
        _check_one_file(split, found[split])
    if found and "train" not in found:
        raise click.BadParameter("names no file for train; write train=FILE")
    return found


def _check_one_file(split: str, name: str) -> None:
    files = name.split(",")
    if len(files) > 1 and all(Path(file).suffix for file in files) and not Path(name).exists():
        raise click.BadParameter(
            f"{name!r} names {len(files)} files for {split}, which takes one; put their rows into one file, "
            f"or say what each is: train={files[0]},test={files[1]}"
        )


def parse_limit(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """`train=1000,validation=500` as rows by split."""
    found = _parts(values, SPLITS, "ROWS", "give one number for a split")
    for split, rows in found.items():
        if not rows.isdecimal() or int(rows) < 1:
            raise click.BadParameter(f"{split}= takes a number of rows, at least 1, but got {rows!r}")
    return {split: int(rows) for split, rows in found.items()}


def parse_tolerance(_: click.Context, __: click.Parameter, value: str | None) -> dict[str, str] | str | None:
    """`macro_f1=0.005,train_seconds=10%` as a mapping, whose values are checked with the study; or `none`."""
    if value is None or value == NONE:
        return value
    found: dict[str, str] = {}
    for part in value.split(","):
        name, equals, margin = (piece.strip() for piece in part.partition("="))
        if not (name and equals and margin):
            raise click.BadParameter(f"{part!r} is neither OBJECTIVE=AMOUNT nor {NONE}; write train_seconds=10%")
        if name in found:
            raise click.BadParameter(f"{name}= is given twice; give one amount for an objective")
        found[name] = margin
    return found


def parse_duration(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """`90`, `90s`, `30m`, `1h30m` or `1.5h` in seconds."""
    if value is None:
        return None
    written = re.fullmatch(r"(?:(\d+(?:\.\d+)?)s?)|((?:\d+(?:\.\d+)?[dhms])+)", value.strip().lower())
    if not written:
        raise click.BadParameter(f"{value!r} is not a time; write 90s, 30m, 1h30m, or a number of seconds")
    if written[1]:
        return float(written[1])
    return sum(float(number) * SECONDS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([dhms])", written[2]))


def check_name(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    """A name that can be a file's name."""
    if value is not None and not STUDY_NAME.fullmatch(value):
        raise click.BadParameter(f"{value!r} names files, so it may have letters, digits, - and _ only")
    return value


def _parts(values: tuple[str, ...], keys: tuple[str, ...], value: str, remedy: str) -> dict[str, str]:
    """The parts `KEY=VALUE` of all `values`, each key once."""
    found: dict[str, str] = {}
    for part in (part for written in values for part in re.split(rf",(?=(?:{'|'.join(keys)})=)", written)):
        key, equals, name = part.partition("=")
        if not equals or key not in keys or not name:
            hint = "" if equals else f"; write {keys[0]}={part}"
            raise click.BadParameter(f"{part!r} is not KEY={value} with one of the keys {', '.join(keys)}{hint}")
        if key in found:
            raise click.BadParameter(f"{key}= is given twice; {remedy}")
        found[key] = name
    return found


class WholeNumber(click.IntRange):
    """A whole number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a whole number{_bounds(self)}", param, ctx)


class Number(click.FloatRange):
    """A number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            self.fail(f"{value!r} is not a number{_bounds(self)}; write decimals with a point", param, ctx)


class UnboundedNumber(click.ParamType[float]):
    """Any number; of a range without bounds, Click's help says `x<=None`."""

    name = "float"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number; write decimals with a point", param, ctx)


def _bounds(kind: click.IntRange | click.FloatRange) -> str:
    if kind.max is not None:
        return f" from {kind.min} to {kind.max}"
    return f" above {kind.min}" if kind.min_open else f" of at least {kind.min}"
