from __future__ import annotations

import pytest

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.study.values import parse_dimension


@pytest.mark.parametrize(
    ("raw", "dimension"),
    [
        (3, Fixed(3)),
        ("cls", Fixed("cls")),
        ("1e-5", Fixed(1e-5)),
        (True, Fixed(True)),
        ([4, 8], Choice((4, 8))),
        (["1e-5", "mlp", False], Choice((1e-5, "mlp", False))),
        ({"range": [0, 0.5]}, Range(0.0, 0.5)),
        ({"log": ["1e-5", 1e-3]}, Range(1e-5, 1e-3, log=True)),
        ({"int": [1, 5]}, Range(1.0, 5.0, integer=True)),
        ({"int_log": ["1e1", 1000]}, Range(10.0, 1000.0, log=True, integer=True)),
    ],
)
def test_forms(raw, dimension):
    assert parse_dimension(raw) == dimension


def test_true_and_one_are_two_options():
    assert parse_dimension([1, True]) == Choice((1, True))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ([], "an empty list has nothing to choose from"),
        ([4, 8, 4.0], "[4, 8, 4.0] names a value twice"),
        (None, "None is not a value; write a value, a list of values, or a range like {log: [1e-5, 1e-3]}"),
        ([[1]], "[1] is not a value; write a value, a list of values, or a range like {log: [1e-5, 1e-3]}"),
        (
            {"logg": [1, 2]},
            "{'logg': [1, 2]} is not a range; write one of {range: [low, high]}, {log: [low, high]}, "
            "{int: [low, high]}, {int_log: [low, high]}",
        ),
        ({"int": [1, 2, 3]}, "{int: [1, 2, 3]} needs two numbers, [low, high]"),
        ({"range": [False, True]}, "{range: [False, True]} needs two numbers, [low, high]"),
        ({"log": ["1e-3", "1e-5"]}, "range 0.001..1e-05 is upside down; write the lower end first"),
        ({"int": [4, 4]}, "range 4..4 is upside down; write the lower end first"),
        ({"log": [0, 1]}, "a log range must start above 0, but starts at 0"),
        ({"int": [1, 2.5]}, "{int: [1, 2.5]} needs whole numbers"),
    ],
)
def test_what_is_no_dimension(raw, message):
    with pytest.raises(ValueError) as error:
        parse_dimension(raw)
    assert str(error.value) == message
