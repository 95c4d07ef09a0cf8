"""Every study file that is shipped is valid, found by its name, and says what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from peftsearch.study.spec import load_study

STUDIES = Path(__file__).parents[1] / "studies"
FILES = sorted(STUDIES.rglob("*.y*ml"))


def test_none_is_overlooked():
    assert len(FILES) == 6, "a study was added or lost: change this number too"
    assert all(path.suffix == ".yaml" for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_shipped_study(path):
    spec = load_study(str(path))
    assert spec.name == path.stem
    assert spec.goal.endswith("?")
    assert all("outside the study's" in warning for warning in spec.warnings)
    assert {baseline.method for baseline in spec.baselines} == set(spec.methods)


def test_the_quickstart_tries_every_method_within_twelve_trials():
    spec = load_study(str(STUDIES / "quickstart.yaml"))
    assert set(spec.methods) == {"full", "probe", "frozen", "lora", "prefix", "seq_bn"}
    tried = [baseline.method for baseline in spec.baselines]
    assert tried[:6] == ["probe", "full", "lora", "frozen", "prefix", "seq_bn"]
    assert len(tried) == 9, "three more come from the portfolio"
    assert spec.objectives == ("macro_f1", "trainable_parameters", "train_seconds")
    assert spec.warnings == ()


def test_the_quickstart_needs_nothing_but_safe_yaml():
    assert yaml.safe_load((STUDIES / "quickstart.yaml").read_text())["name"] == "quickstart"
