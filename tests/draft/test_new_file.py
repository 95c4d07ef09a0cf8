"""Where a new study's file is put."""

from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.draft.make import Wishes
from peftsearch.draft.new_file import init_study, kept_study
from peftsearch.study.catalogue import find_study
from peftsearch.study.spec import load_study


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("reviews.csv", "emotion.csv"):
        (tmp_path / name).write_text("text,label\n" + "".join(f"the cat {i},{i % 2}\n" for i in range(40)))
    return tmp_path


def test_a_file_is_never_replaced_unasked(work: Path) -> None:
    made = init_study("reviews.csv")
    assert made.path == Path("studies/reviews.yaml")
    with pytest.raises(UserError) as caught:
        init_study("reviews.csv", effort="quick")
    assert str(caught.value) == (
        "studies/reviews.yaml is there already; search it with --study studies/reviews.yaml, "
        "or name another file with --out"
    )
    assert made.path.read_text() == made.text != init_study("reviews.csv", effort="quick", overwrite=True).text


def test_the_package_s_own_studies_keep_their_names(work: Path) -> None:
    assert init_study("emotion.csv").path == Path("studies/emotion-data.yaml")
    assert init_study("emotion.csv", "other/place.yaml").name == "place"


def test_a_study_without_a_file_of_its_own_is_found_by_its_name(work: Path) -> None:
    made = kept_study({"train": "reviews.csv"}, Wishes())
    assert made.path == Path("runs/reviews/study.yaml") == find_study("reviews")
    assert load_study("reviews").data.source == "../../reviews.csv"
    assert kept_study({"train": "reviews.csv"}, Wishes()) == made


def test_another_study_of_the_same_name_is_refused(work: Path) -> None:
    kept_study({"train": "reviews.csv"}, Wishes())
    with pytest.raises(UserError) as caught:
        kept_study({"train": "reviews.csv"}, Wishes(effort="quick"))
    assert str(caught.value) == (
        "runs/reviews/study.yaml differs from what would be made of this file now; go on with it by --study reviews "
        "instead of --data, or begin another study with --fork NEW_NAME"
    )
    assert kept_study({"train": "reviews.csv"}, Wishes(effort="quick"), "other").path == Path("runs/other/study.yaml")
