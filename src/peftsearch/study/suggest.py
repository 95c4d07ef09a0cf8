"""Draws an Optuna trial's configuration from a study's conditional search space.

Optuna's parameters are named `method`, `backbone` and `METHOD.DIMENSION`, so that a sampler learns the settings of each
method separately. `backbone` is suggested only in a study with several; it is `METHOD.backbone` for a method that tunes
only some of them. A fixed value is not suggested.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from peftsearch.core.config import SEARCHABLE_TRAINING, TrialConfig
from peftsearch.core.dimensions import Choice, Dimension, Fixed, Scalar, complaint, contains, in_type_of
from peftsearch.core.errors import nearest
from peftsearch.core.objectives import evaluate_metrics, on_request
from peftsearch.methods.table import METHODS
from peftsearch.study.conditions import is_active
from peftsearch.study.spec import Baseline, StudySpec
from peftsearch.study.values import middle

METHOD = "method"
"""The name of the parameter on which all others named `METHOD.DIMENSION` are conditional."""


class Suggester(Protocol):
    """The part of `optuna.trial.Trial` that is used here."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...
    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = ...) -> int: ...


def suggest(spec: StudySpec, trial: Suggester, baseline: Baseline | None = None) -> TrialConfig:
    """The configuration of `trial`, drawn from the study's search space.

    Args:
        trial: an Optuna trial, or anything that suggests values as one does.
        baseline: the baseline that the trial was enqueued for. Its configuration is then exactly the baseline's, and
            the values that lie within the space are suggested all the same, so that the sampler learns from them.
    """
    if baseline is None:
        return _draw(spec, trial)
    for name, dimension, _ in _within(spec, baseline):
        _suggest(trial, name, dimension)
    return baseline_config(spec, baseline)


def baseline_config(spec: StudySpec, baseline: Baseline) -> TrialConfig:
    """The configuration that `suggest` gives a trial that was enqueued for `baseline`."""
    return _config(spec, baseline.method, baseline.backbone, baseline.settings)


def sampled_params(spec: StudySpec, baseline: Baseline) -> dict[str, Scalar]:
    """The Optuna parameters with which `baseline` is enqueued, without the values outside the search space.

    Optuna 5.0 takes a number outside its range, with a warning, and fails on an option that is not among the choices.
    """
    return {name: value for name, _, value in _within(spec, baseline)}


def misfit(spec: StudySpec, params: Mapping[str, Any]) -> str | None:
    """Why the search space does not hold these Optuna parameters, in one line; None if it does.

    Anybody can enqueue any parameters through Optuna, which takes a number outside its range and ignores a name that
    it does not know.
    """
    known = dict(_parameters(spec))
    for name, value in params.items():
        if name not in known:
            return f"the study has no parameter {name!r}; {nearest(name, known)}"
        problem = complaint(known[name], value)
        if problem:
            return f"{name}: {problem}"
    return None


def _parameters(spec: StudySpec) -> Iterator[tuple[str, Dimension]]:
    """Name and dimension of every parameter that a trial can have."""
    yield METHOD, _methods(spec)
    for method, space in spec.methods.items():
        yield _backbones(spec, method)
        yield from ((f"{method}.{name}", dimension) for name, dimension in space.items())


def _draw(spec: StudySpec, trial: Suggester) -> TrialConfig:
    method = str(_suggest(trial, METHOD, _methods(spec)))
    backbone = str(_suggest(trial, *_backbones(spec, method)))
    space = spec.methods[method]
    settings: dict[str, Scalar] = {}
    for name, dimension in space.items():
        active = is_active(METHODS[method], name, settings)
        settings[name] = _suggest(trial, f"{method}.{name}", dimension) if active else middle(dimension)
    return _config(spec, method, backbone, settings)


def _config(spec: StudySpec, method: str, backbone: str, values: Mapping[str, Scalar]) -> TrialConfig:
    training: dict[str, Any] = {name: value for name, value in values.items() if name in SEARCHABLE_TRAINING}
    model = next(b for b in spec.backbones if b.name == backbone)
    return TrialConfig(
        backbone=backbone,
        method=method,
        settings={name: value for name, value in values.items() if name not in training},
        training=replace(spec.training, **training),
        max_length=model.max_length or spec.data.max_length,
        selection=spec.selection,
        revision=model.revision,
        trust_remote_code=model.trust_remote_code,
        tokenizer=model.tokenizer,
        tokenizer_revision=model.tokenizer_revision,
        evaluate=evaluate_metrics(spec.measured),
        measure=on_request(spec.measured),
    )


def _within(spec: StudySpec, baseline: Baseline) -> Iterator[tuple[str, Dimension, Scalar]]:
    """Name, dimension and value of everything in `baseline` that the sampler could have drawn."""
    method = baseline.method
    space = spec.methods.get(method, {})
    settings = baseline.settings
    active = [name for name in settings if name in space and is_active(METHODS[method], name, settings)]
    own = [(f"{method}.{name}", space[name], settings[name]) for name in active]
    shared = [(METHOD, _methods(spec), method), (*_backbones(spec, method), baseline.backbone)]
    for name, dimension, value in shared + own:
        if not isinstance(dimension, Fixed) and contains(dimension, value):
            yield name, dimension, value


def _methods(spec: StudySpec) -> Dimension:
    """The choice of method. It is suggested even if there is only one, so that every trial's parameters name it."""
    return Choice(tuple(spec.methods))


def _backbones(spec: StudySpec, method: str) -> tuple[str, Dimension]:
    """The choice of backbone and its name, which depends on the options: Optuna allows one set of options a name."""
    names = tuple(backbone.name for backbone in spec.backbones if backbone.takes(method))
    shared = len(names) == len(spec.backbones)
    return "backbone" if shared else f"{method}.backbone", Choice(names) if len(names) > 1 else Fixed(names[0])


def _suggest(trial: Suggester, name: str, dimension: Dimension) -> Scalar:
    if isinstance(dimension, Fixed):
        return dimension.value
    if isinstance(dimension, Choice):
        drawn: Scalar = trial.suggest_categorical(name, in_order(dimension))
        return in_type_of(dimension, drawn)  # an enqueued 8.0 means the option 8
    if dimension.integer:
        return trial.suggest_int(name, int(dimension.low), int(dimension.high), log=dimension.log)
    return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)


def in_order(choice: Choice) -> list[Scalar]:
    """The options sorted, because Optuna refuses to go on with a storage that has them in another order."""
    return sorted(choice.options, key=lambda option: (isinstance(option, str), option))
