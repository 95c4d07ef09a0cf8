from __future__ import annotations

import doctest
import importlib

import pytest

from peftsearch.core.errors import TrialFailure, nearest, one_line, shown


def test_nearest_name_or_all_of_them():
    assert nearest("lorra", ["lora", "full"]) == "did you mean 'lora'?"
    assert nearest("xyz", ["lora", "full"]) == "valid: full, lora"


def test_an_error_is_told_on_one_line():
    assert one_line(OSError("\n no room\n\ton the disk\n")) == "no room on the disk"
    assert one_line("a\r\nb") == "a b"
    assert one_line(KeyError()) == "KeyError"


def test_a_long_value_is_cut():
    assert shown("x") == "'x'"
    assert shown(["x" * 100]) == "['" + "x" * 75 + "..."


def test_failure_has_a_kind():
    failure = TrialFailure("not_finite", "loss is nan at step 3")
    assert (failure.kind, str(failure)) == ("not_finite", "loss is nan at step 3")


@pytest.mark.parametrize("module", ["core.dimensions", "core.errors", "study.mistakes.problems", "study.values"])
def test_examples_in_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"peftsearch.{module}"))
    assert result.attempted > 0
    assert result.failed == 0
