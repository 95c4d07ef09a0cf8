"""Hand-made trials, as if read back from a storage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.measurement import EpochReport, Measurement
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.records import Record

OBJECTIVES = ("macro_f1", "trainable_parameters", "train_seconds")


def measurement(macro_f1: float = 0.8, parameters: int = 1000, seconds: float = 10.0, **changes: Any) -> Measurement:
    values: dict[str, Any] = {
        "metrics": {"macro_f1": macro_f1, "accuracy": macro_f1},
        "best_epoch": 2,
        "epochs": 3,
        "trainable_parameters": parameters,
        "total_parameters": 100_000,
        "train_seconds": seconds,
        "evaluation_seconds": 1.0,
        "evaluation_samples_per_second": 500.0,
        "peak_memory_mb": 120.0,
        "device": "cpu",
        "precision": "fp32",
        "seed": 42,
        "data_fingerprint": "abc",
        "micro_batch_size": 32,
        "padding_share": 0.05,
    }
    return Measurement(**{**values, **changes})


def report(epoch: int, macro_f1: float) -> EpochReport:
    return EpochReport(epoch, 1.0 / epoch, 1.1 / epoch, {"macro_f1": macro_f1}, 3.0, 0.5, 1000)


def config(method: str = "lora", backbone: str = "tiny/bert", **settings: Any) -> TrialConfig:
    return TrialConfig(backbone, method, settings or {"learning_rate": 3.1e-4}, TrainingConfig(epochs=3))


def complete(
    number: int,
    method: str,
    macro_f1: float,
    parameters: int,
    seconds: float,
    *,
    backbone: str = "tiny/bert",
    **settings: Any,
) -> Record:
    """A finished trial with three epochs."""
    measured = measurement(macro_f1, parameters, seconds)
    return Record(
        number,
        "complete",
        config(method, backbone, **settings),
        values=dict(zip(OBJECTIVES, (macro_f1, float(parameters), seconds), strict=True)),
        measurement=measured,
        curve=tuple(report(epoch, macro_f1 * epoch / 3) for epoch in (1, 2, 3)),
    )


def trained(
    number: int, method: str, scores: Sequence[float], parameters: int, seconds: float, *, pruned: bool = False
) -> Record:
    """A trial whose whole is what its epochs say: of these macro F1, each of which takes `seconds`."""
    curve = tuple(
        EpochReport(epoch, 1.0 / epoch, 1.1 / epoch, {"macro_f1": f1, "accuracy": f1}, seconds, 0.5, parameters)
        for epoch, f1 in enumerate(scores, start=1)
    )
    best, spent = max(scores), seconds * len(scores)
    measured = measurement(best, parameters, spent, best_epoch=scores.index(best) + 1, epochs=len(scores))
    if pruned:
        reason = "trial 0 dominates it"
        return Record(number, "pruned", config(method), curve=curve, so_far=measured, reason=reason)
    values = dict(zip(OBJECTIVES, (best, float(parameters), spent), strict=True))
    return Record(number, "complete", config(method), values, measured, curve)


EPOCHS = (
    trained(0, "full", (0.6, 0.85, 0.9), 22_000_000, 20.0),
    trained(1, "lora", (0.7, 0.8, 0.79), 300_000, 4.0),
    trained(2, "probe", (0.5, 0.65), 4_000, 1.0, pruned=True),
)
"""Trials of which 0, 0@2, 1@2, 1@1, 2@2 and 2@1 are on the front: 1 ends worse than its epoch 2, and 2 was pruned."""


def store(folder: Path, records: Sequence[Record], name: str = "toy", **user_attrs: Any) -> str:
    """Write `records` into a SQLite storage as workers do; returns its URL. Trials are numbered in the order given.

    Only whole trials count as points, unless `every_epoch` is among the attributes of the study.
    """
    import optuna
    from optuna.trial import TrialState

    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    url = f"sqlite:///{folder}/{name}.db"
    study = open_study(open_storage(url), name, OBJECTIVES)
    for key, value in {"every_epoch": False, **user_attrs}.items():
        study.set_user_attr(key, value)
    for found in records:
        attrs = {
            "config": found.config.to_dict() if found.config else None,
            "curve": [epoch.to_dict() for epoch in found.curve],
            "measurement": found.measurement.to_dict() if found.measurement else None,
            "measured_so_far": found.so_far.to_dict() if found.so_far else None,
            "reason": found.reason,
            "failure": found.failure,
            "worker": dict(found.worker),
        }
        state = states.get(found.state, TrialState.RUNNING)
        values = list(found.values.values()) or None
        trial = optuna.trial.create_trial(state=state, values=values, user_attrs=attrs)
        trial.datetime_start = found.started or trial.datetime_start
        trial.datetime_complete = found.ended or trial.datetime_complete
        study.add_trial(trial)
    return url
