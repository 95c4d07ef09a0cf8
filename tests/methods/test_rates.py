"""No method is searched at another one's learning rates."""

from __future__ import annotations

import pytest

from peftsearch.core.dimensions import Range
from peftsearch.methods.table import METHODS
from peftsearch.study.catalogue import folders
from peftsearch.study.spec import load_study

WHOLE_ENCODER = {"full", "frozen", "unfreezing"}
"""Methods that move pretrained weights themselves."""

SMALL = [name for name, method in METHODS.items() if "learning_rate" in method.own and name not in WHOLE_ENCODER]
FILES = sorted(folders()[1].glob("*.yaml"))


def _rates(dimension):
    assert isinstance(dimension, Range)
    assert dimension.log
    return dimension


@pytest.mark.parametrize("name", SMALL)
def test_what_trains_few_tensors_reaches_ten_times_full_fine_tuning_s_rates(name):
    own, full = (_rates(METHODS[method].own["learning_rate"].default) for method in (name, "full"))
    assert own.high >= 10 * full.high
    assert own.low > full.low


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_every_shipped_study_searches_each_method_s_own_rates(file):
    spaces = load_study(str(file)).methods
    full = _rates(spaces["full"]["learning_rate"])
    for name in set(spaces) & set(SMALL):
        own = _rates(spaces[name]["learning_rate"])
        assert own.high >= 10 * full.high, name
        assert own.high >= 100 * 2e-5, name
