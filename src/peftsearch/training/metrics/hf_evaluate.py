"""Metrics of 🤗 Evaluate, loaded from the hub or its cache and computed from class ids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peftsearch.core.errors import TrialFailure, UserError, one_line
from peftsearch.core.objectives import EVALUATE, evaluate_metrics

SHIPPED_BY = "evaluate-metric"
"""The account of Hugging Face's own metrics: without it, a folder of that name in the working directory goes first."""


def check_computable(objectives: Sequence[str], classes: int) -> None:
    """Compute each `evaluate:NAME` once, on a made-up split in which most rows are right.

    Raises:
        UserError: one cannot be loaded, or makes no single number of class ids.
    """
    labels = np.tile(np.arange(classes), 3)
    predicted = np.concatenate([labels[:-1], [0]])
    for name in evaluate_metrics(objectives):
        try:
            compute(name, predicted, labels)
        except (ValueError, TypeError, KeyError, TrialFailure) as error:
            raise UserError(f"objective {name!r} cannot be computed from class ids: {one_line(error)}") from error


def compute(name: str, predicted: NDArray[np.integer], labels: NDArray[np.integer]) -> float:
    """The metric `evaluate:NAME` of predicted and true class ids, both of shape (rows,).

    Raises:
        UserError: it cannot be loaded.
        TrialFailure: it is not a finite number.
    """
    metric = name.removeprefix(EVALUATE)
    found = _loaded(metric).compute(predictions=predicted.tolist(), references=labels.tolist())
    value = _number(metric, found)
    if not math.isfinite(value):
        raise TrialFailure("not_finite", f"{name} is {value} on the validation split")
    return value


@cache
def _loaded(metric: str) -> Any:
    import evaluate

    if Path(SHIPPED_BY).exists():  # a local folder would go before the hub, and its code would run
        raise UserError(f"objective '{EVALUATE}{metric}': move {Path(SHIPPED_BY).resolve()} away; its code is not run")
    try:
        # In memory: files of several workers in one cache folder wait for one another's locks.
        return evaluate.load(f"{SHIPPED_BY}/{metric}", module_type="metric", keep_in_memory=True)
    except ImportError as error:
        raise UserError(f"objective '{EVALUATE}{metric}' needs packages to be installed: {one_line(error)}") from error
    except (OSError, TypeError) as error:
        raise UserError(
            f"objective '{EVALUATE}{metric}': 🤗 Evaluate has no such metric, or the hub cannot be reached; "
            f"check the name and the connection, or take macro_f1 instead"
        ) from error


def _number(metric: str, found: Any) -> float:
    """The value under the metric's own name, or the only one there is."""
    values = dict(found or {})
    value = values.get(metric, next(iter(values.values())) if len(values) == 1 else None)
    if value is None:
        raise ValueError(f"it gives {', '.join(map(repr, values)) or 'nothing'}, and none is called {metric!r}")
    if np.size(value) != 1:
        raise ValueError(f"it gives {np.size(value)} numbers, not one")
    return float(np.asarray(value).item())
