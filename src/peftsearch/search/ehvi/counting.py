"""Counts what a proposal would train, before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from peftsearch.core.config import TrialConfig
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.storage.connection.patience import say_on_stderr
from peftsearch.storage.records import ended_records
from peftsearch.study.spec import StudySpec
from peftsearch.study.suggest import suggest

if TYPE_CHECKING:
    from optuna.study import Study

Count = Callable[[Mapping[str, Any]], int | None]
"""The Optuna parameters of a proposal → the number of parameters that it would train; None if that is not known."""


class Counter:
    """Counts trainable parameters from the backbone's `config.json`, about 50 ms for each new configuration.

    The number of classes is read from a finished trial, so nothing is known before there is one. Nor is it known of
    methods that read texts, and of backbones with code of their own.
    """

    def __init__(self, spec: StudySpec, study: Study) -> None:
        self._spec, self._study = spec, study
        self._classes = 0
        self._known: dict[tuple[Any, ...], int | None] = {}

    def __call__(self, params: Mapping[str, Any]) -> int | None:
        self._classes = self._classes or self._read_classes()
        config = suggest(self._spec, Given(params))
        if not self._classes or config.trust_remote_code or config.method in TEXT_METHODS:
            return None
        key = _structure(config)
        if key not in self._known:
            self._known[key] = _count(config, self._classes)
        return self._known[key]

    def _read_classes(self) -> int:
        measured = (trial.measurement for trial in ended_records(self._study) if trial.measurement)
        return next((len(each.classes.labels) for each in measured if each.classes), 0)


class Given:
    """Suggests the values that it is given. A setting that is drawn later has its first value."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = params

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._params.get(name, choices[0])

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return float(self._params.get(name, low))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._params.get(name, low))


def _structure(config: TrialConfig) -> tuple[Any, ...]:
    """All that the count may depend on, which is not the learning rate."""
    settings = sorted((name, value) for name, value in config.settings.items() if name != "learning_rate")
    return (config.backbone, config.method, config.training.epochs, *settings)


def _count(config: TrialConfig, classes: int) -> int | None:
    from peftsearch.backbones.names import resolve_config_only
    from peftsearch.training.dry_run import trainable_by_epoch

    try:
        return max(trainable_by_epoch(config, resolve_config_only(config.backbone, config.revision), classes))
    except Exception as error:  # what a library raises would be the trial's failure; the count is forecast meanwhile
        reason = f"{type(error).__name__}: {error}"
        say_on_stderr(f"the parameters of {config.method} cannot be counted before it is trained ({reason})")
        return None
