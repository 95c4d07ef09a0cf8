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
        "": f"the name of the study is empty; studies: {names}",
        " ": f"the name of the study is empty; studies: {names}",
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


@pytest.mark.parametrize(
    "ending", [".csv", ".tsv", ".CSV", ".jsonl", ".parquet", ".xlsx", ".csv.gz", ".json.gz", ".zip"]
)
def test_a_file_of_texts_is_told_from_a_study_file(here, ending):
    for stem in ("reviews", "my.reviews", "Übung 1"):
        file = here / f"{stem}{ending}"
        file.write_bytes(b"text,label\n")
        with pytest.raises(UserError) as error:
            load_study(str(file))
        assert str(error.value) == (
            f"{file} holds texts and is no study file; search it with: peftsearch optimize --data {file}, "
            f"or make a study file with: peftsearch init {file}"
        )


@pytest.mark.parametrize("ending", [".yaml", ".yml", ".txt", ".json", ""])
def test_other_endings_may_hold_a_study(here, ending):
    file = here / f"study{ending}"
    file.write_text("name: my")
    assert find_study(str(file)) == file


def test_a_folder_s_study_files_are_named(here):
    (here / "some").mkdir()
    with pytest.raises(UserError) as error:
        find_study("some")
    assert str(error.value) == "some is a folder and no study file; it holds no YAML file"
    for number in range(7):
        (here / "some" / f"{number}.yaml").write_text("")
    with pytest.raises(UserError) as error:
        find_study("./some/")
    listed = ", ".join(f"some/{number}.yaml" for number in range(5))
    assert str(error.value) == (f"./some/ is a folder and no study file; name one of its files: {listed} and 2 more")


def test_results_are_told_from_a_study_file(here):
    (here / "runs" / "mine").mkdir(parents=True)
    (here / "runs" / "mine.db").write_bytes(b"")
    for written, what in {"runs/mine": "is a folder of results and", "runs/mine.db": "holds trials and is"}.items():
        with pytest.raises(UserError) as error:
            find_study(written)
        assert str(error.value) == f"{written} {what} no study file; name the study, here mine"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("reviews", "reviews.yaml"),
        ("reviews.yml", "reviews.yaml"),
        ("reviews.yalm", "reviews.yaml"),
        ("reviws.yaml", "reviews.yaml"),
        ("sub/other", "sub/other.yml"),
        ("./sub/other.yaml", "sub/other.yml"),
    ],
)
def test_a_study_file_that_is_meant(here, written, meant):
    (here / "sub").mkdir()
    (here / "sub" / "other.yml").write_text("")
    (here / "reviews.yaml").write_text("")
    with pytest.raises(UserError) as error:
        find_study(written)
    assert str(error.value) == f"no study {written!r}; did you mean the file {meant}?"
