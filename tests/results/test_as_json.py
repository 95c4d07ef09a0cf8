"""What programs get of a trial."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from peftsearch.core.measurement import ClassReport
from peftsearch.results.as_json import full_trial_json, trial_json, trial_with_curve_json
from peftsearch.storage.records import Record
from tests.helpers.records import complete, measurement

LORA = complete(1, "lora", 0.88, 2_000, 20.0)
THREE = ClassReport(("cat", "dog", "[red]"), ((0, 0, 30), (0, 1, 2), (1, 1, 20), (2, 0, 1500)))


def test_json_has_exactly_the_promised_keys() -> None:
    found = trial_json(LORA)
    keys = ["trial", "epoch", "method", "backbone", "params", "objectives", "measurement", "state", "constraints"]
    assert list(found) == keys
    assert found["objectives"] == {"macro_f1": 0.88, "trainable_parameters": 2000.0, "train_seconds": 20.0}
    assert found["params"]["learning_rate"] == 3.1e-4
    assert found["params"]["batch_size"] == 32
    assert found["measurement"] == {**measurement(0.88, 2_000, 20.0).to_dict(), "own_train_seconds": 20.0}
    whole = trial_with_curve_json(LORA)
    assert list(whole)[9:] == ["curve", "reason", "failure", "on_front"]
    assert [epoch["epoch"] for epoch in whole["curve"]] == [1, 2, 3]


def test_json_of_a_trial_that_has_not_begun() -> None:
    found = trial_with_curve_json(Record(3, "waiting"))
    assert found == {
        **dict.fromkeys(("epoch", "method", "backbone", "measurement", "reason", "failure")),
        **{
            "trial": 3,
            "state": "waiting",
            "params": {},
            "objectives": {},
            "curve": [],
            "constraints": [],
            "on_front": [],
        },
    }


def test_json_holds_everything() -> None:
    found = json.loads(
        json.dumps(full_trial_json(replace(LORA, measurement=measurement(classes=THREE)), Path("runs/toy/weights/5")))
    )
    assert found["classes"][0] == {
        "label": "cat", "precision": 30 / 1530, "recall": 30 / 32, "f1": 60 / 1562, "support": 32
    }  # fmt: skip
    assert found["confusion_matrix"] == [[30, 2, 0], [0, 20, 0], [1500, 0, 0]]
    assert found["weights"] == "runs/toy/weights/5"
    assert len(found["curve"]) == 3
