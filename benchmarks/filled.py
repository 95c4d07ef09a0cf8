"""Write a storage with many finished trials of a study, as a long search leaves it, within seconds."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from peftsearch.core.config import TrialConfig
from peftsearch.core.measurement import ClassReport, EpochReport, Measurement
from peftsearch.storage.prepare import prepare
from peftsearch.study.spec import StudySpec
from peftsearch.study.suggest import suggest

METRICS = ("accuracy", "macro_f1", "weighted_f1", "micro_f1", "balanced_accuracy", "matthews_correlation")
METRICS += ("macro_precision", "macro_recall", "weighted_precision", "weighted_recall", "micro_precision")
EPOCHS = 6
CLASSES = 16
COSTS = {"full": (22_700_000, 95.0), "probe": (5_000, 4.0), "frozen": (7_100_000, 40.0), "prefix": (180_000, 45.0)}
"""A method's trainable parameters and seconds; all other methods cost as much as an adapter."""


@dataclass
class Draw:
    """Stands in for an Optuna trial without a storage: draws at random, and remembers each distribution and value."""

    rng: random.Random
    user_attrs: dict[str, Any] = field(default_factory=dict)
    drawn: dict[str, tuple[BaseDistribution, Any]] = field(default_factory=dict)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._keep(name, CategoricalDistribution(choices), self.rng.choice(list(choices)))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = low * (high / low) ** self.rng.random() if log else self.rng.uniform(low, high)
        return float(self._keep(name, FloatDistribution(low, high, log=log), value))

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return int(self._keep(name, IntDistribution(low, high, log=log), self.rng.randint(low, high)))

    def _keep(self, name: str, distribution: BaseDistribution, value: Any) -> Any:
        self.drawn[name] = (distribution, value)
        return value


def outcome(config: TrialConfig, epochs: int = EPOCHS) -> tuple[list[EpochReport], Measurement]:
    """A made-up learning curve and measurement of `config`, which depend on its key alone."""
    rng = random.Random(config.key())
    parameters, seconds = COSTS.get(config.method, (300_000, 50.0))
    parameters, seconds = int(parameters * rng.uniform(0.5, 1.5)), seconds * rng.uniform(0.8, 1.3)
    quality = 0.55 + 0.02 * len(str(parameters)) + rng.gauss(0.0, 0.06)
    curve = []
    for epoch in range(1, epochs + 1):
        metrics = {name: min(0.99, quality - 0.3 / epoch + rng.gauss(0.0, 0.01)) for name in METRICS}
        curve.append(EpochReport(epoch, 2 / epoch, 2.1 / epoch, metrics, seconds / epochs, 1.5, parameters))
    best = max(curve, key=lambda report: report.metrics["macro_f1"])
    cells = tuple(
        (i, j, rng.randint(1, 40)) for i in range(CLASSES) for j in range(CLASSES) if i == j or not (i + j) % 4
    )
    return curve, Measurement(
        metrics=best.metrics, best_epoch=best.epoch, epochs=epochs, trainable_parameters=parameters,
        total_parameters=22_700_000, train_seconds=seconds, evaluation_seconds=1.5 * epochs,
        evaluation_samples_per_second=300.0, peak_memory_mb=600.0, device="cpu", precision="bf16", seed=42,
        data_fingerprint="0123456789abcdef", micro_batch_size=32, padding_share=0.04, actual_train_seconds=seconds,
        versions={"torch": "2.9.0", "transformers": "4.57.6", "peft": "0.21.2", "adapters": "1.3.0"},
        classes=ClassReport(tuple(f"class {i}" for i in range(CLASSES)), cells),
    )  # fmt: skip


def fill(spec: StudySpec, file: Path, trials: int) -> str:
    """Write a study with this many finished trials, 70 % complete, 25 % pruned and 5 % failed; return its URL."""
    prepare(spec, f"sqlite:///{file}")  # the trials that it enqueues are replaced
    rng, began = random.Random(0), datetime(2025, 1, 1)
    with sqlite3.connect(file) as database:
        database.execute("DELETE FROM trial_params")
        database.execute("DELETE FROM trial_user_attributes")
        database.execute("DELETE FROM trial_system_attributes")
        database.execute("DELETE FROM trials")
        for number in range(trials):
            _insert(database, spec, number, rng, began + timedelta(minutes=number))
    database.close()
    return f"sqlite:///{file}"


def copy_tables(source: str, target: str) -> None:
    """Write all rows of the database `source` into those of `target`, which has the same tables and no rows.

    Args:
        source, target: URLs. A sequence of `target` goes on after the rows' ids.
    """
    from sqlalchemy import MetaData, create_engine, text

    reads, writes, tables = create_engine(source), create_engine(target), MetaData()
    tables.reflect(writes)
    with reads.connect() as old, writes.begin() as new:
        for table in reversed(tables.sorted_tables):
            new.execute(table.delete())
        for table in tables.sorted_tables:
            rows = [dict(row) for row in old.execute(text(f"SELECT * FROM {table.name}")).mappings()]
            for row in rows:
                row |= {n: datetime.fromisoformat(v) for n, v in row.items() if n.startswith("datetime") and v}
            if rows:
                new.execute(table.insert(), rows)
            for column in table.primary_key if writes.name == "postgresql" else ():
                sequence = new.scalar(text(f"SELECT pg_get_serial_sequence('{table.name}', '{column.name}')"))
                if sequence and rows:
                    new.execute(text(f"SELECT setval('{sequence}', {max(row[column.name] for row in rows)})"))
    for engine in (reads, writes):
        engine.dispose()


def _insert(database: sqlite3.Connection, spec: StudySpec, number: int, rng: random.Random, at: datetime) -> None:
    draw, trial_id = Draw(rng), number + 1
    config = suggest(spec, draw)
    curve, measured = outcome(config)
    state = rng.choices(("COMPLETE", "PRUNED", "FAIL"), (70, 25, 5))[0]
    attrs: dict[str, Any] = {
        "worker": {"pid": 4000 + number % 7, "host": "node/4026531836", "started": 1.7e9, "device": "auto"},
        "heartbeat": 1.7e9 + number,
        "config": config.to_dict(),
        "curve": [report.to_dict() for report in curve[: EPOCHS if state == "COMPLETE" else 3]],
    }
    if state == "COMPLETE":
        attrs["measurement"] = measured.to_dict()
        values = (measured.metrics["macro_f1"], float(measured.trainable_parameters), measured.train_seconds)
        rows = [(trial_id, place, value, "FINITE") for place, value in enumerate(values)]
        database.executemany(
            "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, ?, ?, ?)", rows
        )
    elif state == "PRUNED":
        attrs |= {"reason": "at best macro_f1 0.412 by epoch 3; trial 7 has 0.731 in 8.1 s", "dominated_by": 7}
    else:
        attrs["failure"] = {"kind": "error", "message": "ValueError: of the wrong shape", "traceback": "line\n" * 60}
    database.execute(
        "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete)"
        " VALUES (?, ?, 1, ?, ?, ?)",
        (
            trial_id,
            number,
            state,
            at.isoformat(" ", "microseconds"),
            (at + timedelta(seconds=50)).isoformat(" ", "microseconds"),
        ),
    )
    database.executemany(
        "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)",
        [(trial_id, key, json.dumps(value)) for key, value in attrs.items()],
    )
    database.executemany(
        "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
        [
            (trial_id, name, distribution.to_internal_repr(value), distribution_to_json(distribution))
            for name, (distribution, value) in draw.drawn.items()
        ],
    )
