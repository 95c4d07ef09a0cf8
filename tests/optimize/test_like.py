"""A search that begins with what an earlier one found best."""

from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.optimize.like import begun_like
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.prepare import prepare
from peftsearch.storage.records import Record, records
from peftsearch.study.spec import StudySpec, parse_study
from tests.helpers.records import OBJECTIVES, complete, config, store

DOCUMENT = {
    "name": "new",
    "data": {"source": "rows.csv", "text": "text", "label": "label"},
    "backbones": ["other/bert"],
    "training": {"epochs": 4},
    "methods": {
        "full": {"learning_rate": {"log": [1e-5, 1e-3]}},
        "lora": {"learning_rate": {"log": [1e-4, 1e-2]}, "rank": [4, 8, 16], "batch_size": [16, 32]},
        "probe": {"learning_rate": {"log": [1e-3, 1e-1]}},
    },
    "baselines": [{"method": "full", "learning_rate": 2e-5}],
    "search": {"portfolio": False},
}


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudySpec:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return parse_study(DOCUMENT, tmp_path / "new.yaml")


def settings_of(spec: StudySpec, method: str, **values: object) -> dict[str, object]:
    """The default settings of a method in `spec`, with other values in place of some."""
    point = next(baseline for baseline in spec.baselines if baseline.method == method)
    return {**{name: value for name, value in point.settings.items() if name != "batch_size"}, **values}


def earlier(spec: StudySpec) -> list[Record]:
    """Trials 0, 1 and 3 are on the front, 2 is not but the best of its method, 4 is neither."""
    return [
        complete(0, "lora", 0.90, 1000, 10.0, **settings_of(spec, "lora", learning_rate=2e-3, rank=4)),
        complete(1, "lora", 0.85, 500, 10.0, **settings_of(spec, "lora", learning_rate=5e-3, rank=16)),
        complete(2, "full", 0.80, 9000, 90.0, **settings_of(spec, "full", learning_rate=1e-4)),
        complete(3, "probe", 0.60, 10, 1.0, **settings_of(spec, "probe", learning_rate=4.4e-2)),
        complete(4, "lora", 0.50, 2000, 20.0, **settings_of(spec, "lora", learning_rate=9e-3)),
        Record(5, "pruned", config("probe")),
    ]


def tried(spec: StudySpec) -> list[tuple[str, object]]:
    return [(baseline.method, baseline.settings["learning_rate"]) for baseline in spec.baselines]


def test_the_front_and_the_best_of_each_method_come_after_the_cheap_starting_points(
    spec: StudySpec, tmp_path: Path
) -> None:
    assert [method for method, _ in tried(spec)] == ["probe", "full", "lora"]
    found = begun_like(spec, store(tmp_path, earlier(spec), "old"), "new")
    own = tried(spec)
    assert tried(found) == [own[0], ("lora", 2e-3), ("lora", 5e-3), ("full", 1e-4), ("probe", 4.4e-2), *own[1:]]
    assert {baseline.backbone for baseline in found.baselines} == {"other/bert"}
    assert found.baselines[1].settings["rank"] == 4
    assert found.baselines[1].settings["batch_size"] == 32, "what the new study searches of training is the trial's"
    assert found.warnings == spec.warnings


def test_the_trials_wait_in_the_storage_exactly_as_they_were_and_once(spec: StudySpec, tmp_path: Path) -> None:
    found = begun_like(spec, store(tmp_path, earlier(spec), "old"), "new")
    url = f"sqlite:///{tmp_path}/new.db"
    for _ in range(2):
        study = prepare(found, url)
        waiting = [record.config for record in records(study) if record.config]
        assert [each.settings["learning_rate"] for each in waiting] == [rate for _, rate in tried(found)]
    assert all(each.training.epochs == 4 for each in waiting)
    assert all(record.starting_point for record in records(study))


def test_what_the_study_tries_anyway_is_not_tried_twice(spec: StudySpec, tmp_path: Path) -> None:
    same = complete(0, "full", 0.9, 9000, 90.0, **settings_of(spec, "full"))
    found = begun_like(spec, store(tmp_path, [same], "old"), "new")
    assert found.baselines == spec.baselines


def test_what_the_study_cannot_hold_is_said_in_one_line(spec: StudySpec, tmp_path: Path) -> None:
    other = complete(0, "ia3", 0.95, 100, 5.0, learning_rate=1e-2)
    high = complete(1, "lora", 0.94, 90, 5.0, **settings_of(spec, "lora", learning_rate=5e-2))
    fits = complete(2, "probe", 0.60, 10, 1.0, **settings_of(spec, "probe", learning_rate=4.4e-2))
    found = begun_like(spec, store(tmp_path, [other, high, fits], "old"), "new")
    assert found.warnings[len(spec.warnings) :] == (
        "of the best trials of 'old', this study cannot hold trial 0 (method ia3 is not searched), trial 1 (lora"
        " learning_rate: must be within 0.0001 … 0.01, but got 0.05)",
    )
    assert ("probe", 4.4e-2) in tried(found)
    with pytest.raises(UserError) as refused:
        begun_like(spec, store(tmp_path, [other], "alien"), "new")
    assert str(refused.value) == (
        f"--like sqlite:///{tmp_path}/alien.db: this study can hold none of its best trials: trial 0 (method ia3 is not"
        " searched)"
    )


def test_a_study_is_found_by_its_name_in_the_folder_of_all_studies_or_in_the_same_database(
    spec: StudySpec, tmp_path: Path
) -> None:
    store(tmp_path, earlier(spec), "old")
    shared = f"sqlite:///{tmp_path}/old.db"
    assert len(begun_like(spec, "old", "new", shared).baselines) == len(spec.baselines) + 4
    with pytest.raises(UserError, match=r"^--like old: no study named 'old'"):
        begun_like(spec, "old", "new")
    kept = RunFolder.of("old").database.parent
    kept.mkdir(parents=True)
    store(kept, earlier(spec), "old")
    assert len(begun_like(spec, "old", "new").baselines) == len(spec.baselines) + 4


def test_an_earlier_study_that_cannot_be_meant_is_refused(spec: StudySpec, tmp_path: Path) -> None:
    url = store(tmp_path, [Record(0, "pruned", config("probe"))], "empty")
    with pytest.raises(UserError) as refused:
        begun_like(spec, url, "new")
    assert str(refused.value) == f"--like {url}: study 'empty' has nothing to begin with: no trial has finished yet"
    open_study(open_storage(url), "second", OBJECTIVES)
    wrong = {
        "new": "--like new: that is this study itself; name another one",
        url: f"--like {url}: a database is taken if it holds one study, but this one holds empty, second; name the"
        " study",
    }
    for like, message in wrong.items():
        with pytest.raises(UserError) as refused:
            begun_like(spec, like, "new")
        assert str(refused.value) == message
