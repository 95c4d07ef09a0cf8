"""What every method declares of its hyperparameters."""

from __future__ import annotations

import doctest

import pytest

from peftsearch.core.dimensions import Choice
from peftsearch.methods import hyperparameters
from peftsearch.methods.table import METHODS

CONDITIONAL = [
    (method, name)
    for method, declared in METHODS.items()
    for name, hyperparameter in declared.hyperparameters.items()
    if hyperparameter.active_when
]


def test_doctests() -> None:
    assert doctest.testmod(hyperparameters).failed == 0


@pytest.mark.parametrize(("method", "name"), CONDITIONAL)
def test_the_parent_of_a_conditional_hyperparameter_is_a_choice_declared_before_it(method: str, name: str) -> None:
    declared = METHODS[method].hyperparameters
    condition = declared[name].active_when
    assert condition is not None
    parent = declared[condition.parent].valid
    assert isinstance(parent, Choice)
    assert set(condition.values) < set(parent.options)
    assert list(declared).index(condition.parent) < list(declared).index(name)


def test_the_same_hyperparameter_has_the_same_short_name_everywhere() -> None:
    found = {(n, h.short_name) for method in METHODS.values() for n, h in method.hyperparameters.items()}
    assert len(found) == len({name for name, _ in found})
