"""How many trials break each constraint, and which is nearest where all do."""

from __future__ import annotations

from dataclasses import replace

from peftsearch.core.constraints import Check, Constraint, checks_of
from peftsearch.results.as_json import trial_json
from peftsearch.results.feasibility import tally, why_no_front
from peftsearch.results.formatting import reason_in_words
from peftsearch.results.status import status
from peftsearch.storage.records import Record
from tests.helpers.records import complete, config

SMALL, GOOD, SWIFT = Constraint("trainable_parameters", 1_000), Constraint("macro_f1", 0.8), Constraint("latency_ms", 9)
ALL = (SMALL, GOOD, SWIFT)


def checked(record: Record) -> Record:
    assert record.measurement is not None
    return replace(record, checks=checks_of(ALL, record.measurement))


LARGE = checked(complete(0, "full", 0.9, 2_000, 9.0))
BAD = checked(complete(1, "probe", 0.7, 100, 1.0))
KEPT = checked(complete(2, "lora", 0.85, 900, 5.0))
UNTRAINED = Record(3, "pruned", config("full"), reason="breaks …", checks=(Check(SMALL, 9_000.0),))


def test_each_constraint_says_how_many_break_it_were_not_trained_or_did_not_measure_it() -> None:
    assert list(map(str, tally([LARGE, BAD, KEPT, UNTRAINED, Record(4, "running")], ALL))) == [
        "constraint trainable_parameters <= 1,000: broken by 2 trials, 1 of which was not trained",
        "constraint macro_f1 >= 0.8: broken by 1 trial",
        "constraint latency_ms <= 9: broken by no trial; not measured by 3 trials",
    ]
    assert status([LARGE, UNTRAINED], constraints=ALL).to_dict()["constraints"][0] == {
        "objective": "trainable_parameters",
        "bound": 1_000,
        "broken": 2,
        "not_trained": 1,
        "not_measured": 0,
    }


def test_where_none_keeps_them_the_nearest_is_named() -> None:
    assert why_no_front([Record(0, "running")]) == "no trial has finished yet"
    assert why_no_front([LARGE, UNTRAINED, BAD]) == (
        "no trial keeps the constraints; the nearest is trial 1, "
        "which breaks the constraint macro_f1 >= 0.8: has 0.7000"
    )


def test_a_trial_says_what_it_breaks() -> None:
    assert reason_in_words(LARGE) == "breaks the constraint trainable_parameters <= 1,000: has 2,000"
    assert reason_in_words(KEPT) == ""
    assert trial_json(LARGE)["constraints"] == [
        {"objective": "trainable_parameters", "bound": 1_000, "value": 2_000.0, "broken": True},
        {"objective": "macro_f1", "bound": 0.8, "value": 0.9, "broken": False},
        {"objective": "latency_ms", "bound": 9, "value": None, "broken": None},
    ]
