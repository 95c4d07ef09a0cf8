from __future__ import annotations

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.catalogue import find_study, folders, list_studies
from peftsearch.study.spec import load_study


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    return tmp_path


def test_the_package_s_own_study_is_found_anywhere(here):
    assert find_study("quickstart") == folders()[1] / "quickstart.yaml"
    assert load_study("quickstart").name == "quickstart"


def test_a_study_here_goes_before_the_package_s(here):
    mine = here / "studies" / "quickstart.yaml"
    mine.write_text("name: quickstart\ngoal: mine")
    assert find_study("quickstart").resolve() == mine
    assert [goal for name, goal, _ in list_studies() if name == "quickstart"] == ["mine"]


def test_a_path(here):
    (here / "my.yaml").write_text("name: my")
    assert find_study("my.yaml").name == "my.yaml"
    assert find_study(str(here / "my.yaml")) == here / "my.yaml"


def test_no_such_study(here):
    (here / "studies" / "mine.yml").write_text("name: mine")
    names = "agnews, emotion, kinopoisk, lenta, mine, mrpc, quickstart"
    searched = "mine, agnews, emotion, kinopoisk, lenta, mrpc, quickstart"
    for name, message in {
        "quikstart": f"no study named 'quikstart'; did you mean 'quickstart'? studies: {names}",
        "zzz": f"no study named 'zzz'; studies: {names}",
        "": f"no study named ''; studies: {names}",
        "no/such.yaml": f"no study file 'no/such.yaml'; give the path of a YAML file or a name: {searched}",
        "../mine": f"no study file '../mine'; give the path of a YAML file or a name: {searched}",
    }.items():
        with pytest.raises(UserError) as error:
            find_study(name)
        assert str(error.value) == message


def test_a_broken_file_does_not_hide_the_others(here):
    (here / "studies" / "broken.yaml").write_text("a: [")
    goals = {name: goal for name, goal, _ in list_studies()}
    assert goals["broken"].startswith("cannot be read: broken.yaml: line 1, column 5")
    assert goals["quickstart"].startswith("Which way of tuning")


def test_problems_name_the_file_as_a_person_would(here):
    (here / "studies" / "mine.yaml").write_text(
        "name: mine\ndata: {source: a.csv}\nbackbones: [tiny]\nmethods: {lorra: {}}"
    )
    with pytest.raises(UserError, match=r"^studies/mine\.yaml: methods\.lorra: no method 'lorra'; did you mean 'lora'"):
        load_study("mine")
