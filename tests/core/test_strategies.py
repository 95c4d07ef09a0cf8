from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.strategies import PRUNERS, SAMPLERS, load_strategy
from peftsearch.study.spec import load_study

STUDY = """\
name: toy
goal: g
data: {{source: wordnet-nouns}}
backbones: [some/model]
methods: {{probe: {{}}}}
search: {search}
"""


@pytest.mark.parametrize("table", [SAMPLERS, PRUNERS], ids=["samplers", "pruners"])
def test_every_name_stands_for_a_function_with_help(table: Mapping[str, str]) -> None:
    for name in table:
        assert load_strategy(table, name).__doc__, name


MINE = """\
def sampler(seed, startup_trials):
    return seed, startup_trials

def rule(trial, others, objectives):
    return None
"""

WALK = """\
import sys
from peftsearch.core.strategies import PRUNERS, SAMPLERS
SAMPLERS["mine"], PRUNERS["lenient"] = "mine:sampler", "mine:rule"

from peftsearch.search.pruning import find_rule
from peftsearch.search.samplers import make_sampler
from peftsearch.study.spec import load_study

search = load_study("toy.yaml").search
print(search.sampler, make_sampler(search.sampler, 3, 5, worker=0, trials=0)[1])
print(search.pruner, find_rule(search.pruner)(None, [], []))

from peftsearch.cli import main
main(["optimize", "--help"])
"""


def test_one_line_in_a_table_is_all_that_a_sampler_or_a_pruner_needs(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "walk.py").write_text(WALK)
    (tmp_path / "toy.yaml").write_text(STUDY.format(search="{sampler: mine, pruner: lenient}"))
    done = subprocess.run(
        [sys.executable, "walk.py"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[:2] == ["mine 5", "lenient None"]
    shown = " ".join(done.stdout.split())
    assert "--sampler [tpe|ehvi|random|mine]" in shown
    assert "--pruner [dominated|median|none|lenient]" in shown


def test_a_study_that_names_a_sampler_that_went_is_told_which_there_are(tmp_path: Path) -> None:
    (tmp_path / "toy.yaml").write_text(STUDY.format(search="{sampler: nsga2}"))
    with pytest.raises(UserError, match=r"search\.sampler: got 'nsga2'; valid: ehvi, random, tpe"):
        load_study(str(tmp_path / "toy.yaml"))
