"""What export says where another trial is about as good and needs no custom code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from peftsearch.confirm.statistics import Interval
from peftsearch.core.constraints import Check, Constraint
from peftsearch.core.points import Point
from peftsearch.export.card.evidence import Evidence
from peftsearch.export.plainer import plainer_trial
from peftsearch.results.front import rows
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import Checkpoint
from tests.helpers.records import OBJECTIVES, complete, measurement
from tests.helpers.tuning import settings_of


def trial(number: int, method: str, macro_f1: float, parameters: int = 100, **changes: Any) -> Record:
    return complete(number, method, macro_f1, parameters, 1.0, **settings_of(method, **changes))


def said(records: list[Record], tested: Mapping[int, Any] | None = None, number: int = 0) -> str | None:
    found = rows(records, OBJECTIVES)
    exported = next(row for row in found if row.record.number == number)
    kept = Checkpoint(number, Path(), exported.config, measurement(), ("a", "b"))
    tested_points = {Point(n): row for n, row in (tested or {}).items()}
    return plainer_trial(kept, Evidence(objectives=OBJECTIVES, rows=found, tested=tested_points))


POOLED = trial(0, "lora", 0.9, head="mlp")


def test_a_native_head_of_about_the_same_quality_is_named() -> None:
    assert said([POOLED, trial(1, "lora", 0.8966, 50, head="native")]) == (
        "trial 1 (head: native) is within 0.004 macro F1 and opens without custom code; to export it: --trial 1"
    )


def test_of_several_the_best_is_named_and_how_it_gets_weights_again() -> None:
    found = [POOLED, trial(1, "full", 0.897, head="native"), trial(2, "lora", 0.9, 200, head="native")]
    assert said(found) == (
        "trial 2 (head: native) is at least as good in macro F1 and opens without custom code; "
        "to export it: --trial 2 --retrain"
    )


@pytest.mark.parametrize(
    "other",
    [
        trial(1, "lora", 0.8949, head="native"),  # too much worse
        trial(1, "lora", 0.9, head="linear"),
        trial(1, "seq_bn", 0.9, head="native"),  # cannot be merged, so that its folder brings code as well
        trial(1, "tfidf", 0.9),
        replace(trial(1, "lora", 0.9, head="native"), state="pruned"),
        replace(trial(1, "lora", 0.9, head="native"), checks=(Check(Constraint("trainable_parameters", 50), 100),)),
    ],
)
def test_nothing_is_said_where_no_other_trial_would_do(other: Record) -> None:
    assert said([POOLED, other]) is None


def test_nothing_is_said_of_a_trial_that_needs_no_code() -> None:
    assert said([trial(0, "lora", 0.9, head="native"), trial(1, "lora", 0.9, head="native")]) is None


@pytest.mark.parametrize(
    ("mean", "words"), [(0.87, "is within 0.010 macro F1"), (0.89, "is at least as good in macro F1")]
)
def test_where_both_were_confirmed_the_interval_on_test_decides(mean: float, words: str) -> None:
    tested = {
        0: SimpleNamespace(metric="macro_f1", interval=Interval(0.88, 0.86, 0.90)),
        1: SimpleNamespace(metric="macro_f1", interval=Interval(mean, mean - 0.02, mean + 0.02)),
    }
    far = [POOLED, trial(1, "lora", 0.85, head="native")]
    assert said(far) is None
    assert words in str(said(far, tested))
    tested[1].interval = Interval(0.8599, 0.83, 0.89)
    assert said(far, tested) is None
