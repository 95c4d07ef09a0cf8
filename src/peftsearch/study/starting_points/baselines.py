"""The `baselines:` section: configurations that are tried before the search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from peftsearch.core.dimensions import Choice, Dimension, Fixed, Scalar, Valid, checked, contains, in_type_of
from peftsearch.core.errors import nearest, shown
from peftsearch.methods.base import Method
from peftsearch.methods.hyperparameters import SHARED
from peftsearch.study.conditions import condition_of
from peftsearch.study.methods_section import Space, check_dimension_names, valid_values
from peftsearch.study.mistakes.problems import Problems, Where
from peftsearch.study.sections import Backbone, sequence
from peftsearch.study.values import in_words, middle


@dataclass(frozen=True)
class Baseline:
    """One configuration to try first, exactly as written.

    Attributes:
        settings: a value for every dimension of the method's space.
        written: its position in the file; None for what the file does not mention.
        learnt: whether it is of the portfolio.
    """

    method: str
    backbone: str
    settings: Mapping[str, Scalar]
    written: int | None = None
    learnt: bool = False


def default_settings(method: Method, space: Space) -> dict[str, Scalar]:
    """Each dimension's start or default, the method's or the shared one, if it is one value in `space`; else the
    middle."""

    def start(name: str, dimension: Dimension) -> Scalar:
        declared = [table[name] for table in (method.hyperparameters, SHARED) if name in table]
        starts = [each.start for each in declared if each.start is not None]
        defaults = [each.default.value for each in declared if isinstance(each.default, Fixed)]
        return next((value for value in (*starts, *defaults) if contains(dimension, value)), middle(dimension))

    return {name: start(name, dimension) for name, dimension in space.items()}


@dataclass(frozen=True)
class Vocabulary:
    """The methods, dimensions and backbones that a baseline may name."""

    table: Mapping[str, Method]
    spaces: Mapping[str, Space]
    backbones: tuple[Backbone, ...]

    def names(self, method: str | None = None) -> tuple[str, ...]:
        """The names of all backbones, or of those that `method` tunes."""
        return tuple(b.name for b in self.backbones if method is None or b.takes(method))


def read_baselines(raw: Any, known: Vocabulary, problems: Problems) -> tuple[Baseline, ...]:
    """The baselines in the file, completed by default settings. A value outside the study's space is a warning."""
    items = [] if raw is None else sequence(raw, "[{method: full, learning_rate: 2.0e-5}]", problems, ("baselines",))
    found: list[Baseline] = []
    for i, item in enumerate(items):
        baseline = _baseline(item, i, known, problems)
        twin = next((b for b in found if baseline and same_configuration(b, baseline)), None)
        if twin:
            problems.warn(("baselines", i), f"is the same as baselines[{twin.written}]; tried once")
        elif baseline:
            found.append(baseline)
    return tuple(found)


def tried_first(known: Vocabulary, written: tuple[Baseline, ...], epochs: int) -> tuple[Baseline, ...]:
    """The baselines in the file, and the default settings of each method that they leave out, cheap ones first.

    So even a short search tries every method, and has a first classifier after seconds. What trains no part of an
    encoder comes first, then the baselines in the order of the file, then the rest; both by how much they compute.

    Args:
        written: the baselines in the file.
        epochs: those of a trial whose settings do not say otherwise.
    """

    def passes(point: Baseline) -> float:
        return known.table[point.method].passes(point.settings, int(point.settings.get("epochs", epochs)))

    tried = {baseline.method for baseline in written}
    points = [
        Baseline(name, known.names(name)[0], default_settings(known.table[name], space))
        for name, space in known.spaces.items()
        if name not in tried
    ]
    points.sort(key=passes)
    cheap = [point for point in points if passes(point) <= 1]
    return (*cheap, *written, *points[len(cheap) :])


def _baseline(raw: Any, place: int, known: Vocabulary, problems: Problems) -> Baseline | None:
    where: Where = ("baselines", place)
    if not isinstance(raw, Mapping):
        problems.add(where, f"must be a mapping like {{method: full, learning_rate: 2.0e-5}}, but got {shown(raw)}")
        return None
    name = raw.get("method")
    if not isinstance(name, str) or name not in known.spaces:
        problems.add((*where, "method"), _no_such_method(name, known))
        name = None
    backbone = raw.get("backbone", next(iter(known.names(name)), ""))
    if known.backbones and backbone not in known.names():
        problems.add((*where, "backbone"), f"no backbone {backbone!r}; {nearest(str(backbone), set(known.names()))}")
    elif known.backbones and backbone not in known.names(name):
        problems.add((*where, "backbone"), f"{backbone!r} is not tuned by {name!r}; add it to that backbone's methods")
    if name is None:
        return None
    written = {key: value for key, value in raw.items() if key not in ("method", "backbone")}
    settings = _written_settings(written, known.table[name], known.spaces[name], problems, where)
    return Baseline(name, str(backbone), settings, place)


def _written_settings(
    written: Mapping[str, Any], method: Method, space: Space, problems: Problems, where: Where
) -> dict[str, Scalar]:
    check_dimension_names(written, method, problems, where)
    values = _read_settings(written, valid_values(method), problems, where)
    for key, value in values.items():
        if key in space and not contains(space[key], value):
            problems.warn((*where, key), f"{value} is outside the study's {in_words(space[key])}; tried as written")
    as_drawn = {key: in_type_of(space[key], value) for key, value in values.items() if _among(space.get(key), value)}
    settings = {**default_settings(method, space), **values, **as_drawn}
    for key in values:
        condition = condition_of(method, key)
        if condition and not condition.holds(settings):
            parent = condition.parent
            problems.warn((*where, key), f"changes nothing where {parent} is {settings[parent]}; leave it out")
    return settings


def _read_settings(
    raw: Mapping[str, Any], valid: Mapping[str, Valid], problems: Problems, where: Where
) -> dict[str, Scalar]:
    """The values of `raw` that are valid; the others become problems."""
    values: dict[str, Scalar] = {}
    for key in (name for name in valid if name in raw):
        try:
            values[key] = checked(valid[key], raw[key])
        except ValueError as error:
            problems.add((*where, key), str(error))
    return values


def _among(dimension: Dimension | None, value: Scalar) -> bool:
    return isinstance(dimension, Fixed | Choice) and contains(dimension, value)


def _no_such_method(name: Any, known: Vocabulary) -> str:
    if name is None:
        return "is missing"
    if name in known.table:
        return f"{name!r} is not among this study's methods; add it under 'methods:'"
    return f"no method {name!r}; {nearest(str(name), known.spaces)}"


def same_configuration(a: Baseline, b: Baseline) -> bool:
    """Whether two baselines try the same."""
    return (a.method, a.backbone, a.settings) == (b.method, b.backbone, b.settings)
