"""The private functions of optuna-dashboard that we use: a release that changes them is noticed here."""

from __future__ import annotations

import inspect
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import create_trial
from optuna_dashboard import _custom_plot_data, _note
from optuna_dashboard.artifact import _backend

from peftsearch.report.dashboard.artifacts import LISTED

ROOT = Path(__file__).parents[3]
SIGNATURES = [
    (_custom_plot_data.split_plot_data, ["plot_data_str", "key_prefix"]),
    (_note.get_note_from_system_attrs, ["system_attrs", "trial_id"]),
    (_note.save_note_with_version, ["storage", "study_id", "trial_id", "ver", "body"]),
]


def test_the_installed_release_is_the_one_that_is_pinned() -> None:
    pinned = re.search(r'"optuna-dashboard~=(\d+\.\d+)\.0"', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None
    assert version("optuna-dashboard").startswith(f"{pinned[1]}.")


@pytest.mark.parametrize(("function", "parameters"), SIGNATURES)
def test_what_the_private_functions_take(function: Any, parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_what_the_private_functions_give() -> None:
    parts = _custom_plot_data.split_plot_data("x" * 3000, f"{_custom_plot_data.SYSTEM_ATTR_PLOT_DATA}front:")
    assert [len(part) for part in parts.values()] == [2045, 955]
    assert list(parts) == ["dashboard:plot_data:front:0", "dashboard:plot_data:front:1"]
    assert _note.get_note_from_system_attrs({}, 3) == {"version": 0, "body": ""}


def test_the_attribute_that_lists_an_artifact() -> None:
    trial = create_trial(value=1.0)
    trial._trial_id = 7
    meta = {"artifact_id": "0-1", "filename": "a.png", "mimetype": "image/png", "encoding": None}
    attributes = {LISTED.format(trial=7, artifact="0-1"): json.dumps(meta)}
    assert _backend.list_trial_artifacts(attributes, {}, trial) == [meta]
