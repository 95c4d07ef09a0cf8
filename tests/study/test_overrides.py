from __future__ import annotations

import json
from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.overrides import Overrides, from_here
from peftsearch.study.signature import differences, signature
from peftsearch.study.spec import load_study, parse_study
from peftsearch.study.yaml_file import parse_document

DOCUMENT = """\
name: news
data:
  source: hub:news
  text: text
  revision: abc
  limit: {train: 100}
  files: {columns: [class, title, body], text: "{title} {body}", label: class, map_labels: {1: World}}
backbones: [big, {name: small, revision: v1, max_length: 64}]
methods: {full: {}, probe: {}}
baselines:
  - {method: full}
  - {method: full, backbone: small, learning_rate: 2e-5}
"""
FILES = Overrides({"train": "/data/a.csv", "test": "/data/b.csv"})


def document() -> dict:
    return parse_document(DOCUMENT, Problems("news.yaml"))


def test_files_stand_in_for_the_source_and_the_study_says_what_they_call_things():
    before = document()
    data = FILES.apply(before)["data"]
    assert data == {
        "source": {"train": "/data/a.csv", "test": "/data/b.csv"},
        "columns": ["class", "title", "body"],
        "text": "{title} {body}",
        "label": "class",
        "map_labels": {"1": "World"},
        "limit": {"train": 100},
    }
    assert before == document(), "the document itself must not change"


def test_columns_named_beside_the_files_go_before_the_study_s():
    columns = Overrides(FILES.source, {"text": "a", "pair": "b", "label": "y"})
    data = columns.apply(document())["data"]
    assert (data["text"], data["label"]) == (["a", "b"], "y")
    assert Overrides(FILES.source, {"label": "y"}).apply(document())["data"]["text"] == "{title} {body}"


def test_a_limit_replaces_the_study_s_for_its_splits_alone():
    data = Overrides(limit={"validation": 50}).apply(document())["data"]
    assert data == {**document()["data"], "label": "label", "limit": {"train": 100, "validation": 50}}


@pytest.mark.parametrize(
    ("given", "names", "of_baseline"),
    [(("x",), ["x"], "x"), (("x", "y"), ["x", "y"], "y"), (("x", "y", "z"), ["x", "y"], "y")],
)
def test_backbones_are_replaced_in_their_order(given, names, of_baseline):
    changed = Overrides(backbones=given).apply(document())
    assert [entry["name"] for entry in changed["backbones"]] == names
    assert "revision" not in changed["backbones"][-1], "a revision is of the model that was replaced"
    assert changed["baselines"] == [
        {"method": "full"},
        {"method": "full", "backbone": of_baseline, "learning_rate": 2e-5},
    ]
    assert changed["data"] == document()["data"]


def test_what_belongs_to_a_backbone_s_place_stays():
    assert Overrides(backbones=("x", "y")).apply(document())["backbones"][1] == {"name": "y", "max_length": 64}


@pytest.mark.parametrize("broken", [None, [1], {"data": 3, "backbones": "x"}, {"backbones": [3], "baselines": [4]}])
def test_a_malformed_document_is_left_for_validation(broken, tmp_path):
    (tmp_path / "broken.yaml").write_text(json.dumps(broken))
    with pytest.raises(UserError, match=r"broken\.yaml: "):
        load_study(str(tmp_path / "broken.yaml"), Overrides(FILES.source, backbones=("x",)))


def test_a_study_with_overrides_is_another_one(tmp_path):
    (tmp_path / "news.yaml").write_text(DOCUMENT)
    path = str(tmp_path / "news.yaml")
    plain, moved = load_study(path), load_study(path, Overrides(FILES.source, backbones=("x", "small")))
    assert moved.data.source == FILES.source
    assert moved.methods == plain.methods
    assert moved.training == plain.training
    lines = differences(moved, signature(plain))
    assert "backbones.x: any revision here, not set there" in lines
    assert "data.source.train: /data/a.csv here, not set there" in lines
    assert differences(parse_study(moved.document, moved.path), signature(moved)) == []


def test_names_for_files_change_nothing_about_a_study_on_its_own_source(tmp_path):
    for name, text in (("with", DOCUMENT), ("without", DOCUMENT.replace("  files:", "  # files:"))):
        (tmp_path / f"{name}.yaml").write_text(text)
    with_names, without = (load_study(str(tmp_path / f"{name}.yaml")) for name in ("with", "without"))
    assert signature(with_names) == signature(without)


def test_they_are_false_only_if_they_change_nothing():
    assert not Overrides()
    assert all((FILES, Overrides(columns={"label": "y"}), Overrides(backbones=("x",)), Overrides(limit={"train": 9})))


def test_a_file_is_looked_for_where_the_command_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a:b.csv").touch()
    assert from_here("a.csv") == str(tmp_path / "a.csv")
    assert from_here("a:b.csv") == str(tmp_path / "a:b.csv")
    assert from_here("~/a.csv") == str(Path.home() / "a.csv")
    for elsewhere in ("hub:emotion", "https://x.org/a.csv", "package:some/data"):
        assert from_here(elsewhere) == elsewhere
