"""Which settings of a method decide its quality."""

from __future__ import annotations

import random
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from peftsearch.results.importances import ENOUGH, MethodImportances, importances
from peftsearch.results.stored_study import StoredStudy, open_stored
from tests.helpers.records import store

SPACE = {
    "method": CategoricalDistribution(("full", "lora")),
    "lora.learning_rate": FloatDistribution(1e-4, 1e-2, log=True),
    "lora.dropout": FloatDistribution(0.0, 0.5),
}


def searched(folder: Path, trials: int, flat: bool = False) -> StoredStudy:
    """LoRA's quality follows its learning rate alone; there is one trial of full fine-tuning."""
    stored, rng = open_stored("toy", store(folder, [])), random.Random(0)
    for _ in range(trials):
        rate = 10 ** rng.uniform(-4, -2)
        params = {"method": "lora", "lora.learning_rate": rate, "lora.dropout": rng.uniform(0, 0.5)}
        values = [0.5 if flat else rate, 100.0, 1.0]
        stored.study.add_trial(optuna.trial.create_trial(values=values, params=params, distributions=SPACE))
    one = {"method": SPACE["method"]}
    stored.study.add_trial(
        optuna.trial.create_trial(values=[0.9, 9.0, 9.0], params={"method": "full"}, distributions=one)
    )
    return stored


def test_what_decides_is_told_from_what_does_not(tmp_path: Path) -> None:
    stored = searched(tmp_path, 20)
    full, lora = importances(stored)
    assert (full.method, full.finished, full.shares) == ("full", 1, None)
    assert lora.finished == 20
    assert lora.shares is not None
    assert list(lora.shares) == ["learning_rate", "dropout"]
    assert lora.shares["learning_rate"] > 0.8
    assert sum(lora.shares.values()) == pytest.approx(1)
    assert importances(stored) == [full, lora], "the same trials always say the same"


@pytest.mark.parametrize(
    ("trials", "flat", "why_not"),
    [
        (ENOUGH - 1, False, "fewer than the 10 that it takes"),
        (ENOUGH, True, "equally good"),
    ],
)
def test_why_nothing_is_said(tmp_path: Path, trials: int, flat: bool, why_not: str) -> None:
    _, lora = importances(searched(tmp_path, trials, flat))
    assert lora == MethodImportances("lora", trials, None, why_not)
