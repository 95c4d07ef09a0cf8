"""What is done before the first trial."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.trial import TrialState

from peftsearch.core.errors import UserError
from peftsearch.optimize import begin as module
from peftsearch.optimize.begin import begin
from peftsearch.results.reference import Reference
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.alike import packages
from peftsearch.storage.study_attributes import About, write_about, write_space
from peftsearch.study.overrides import Overrides
from peftsearch.study.signature import signature
from peftsearch.study.spec import StudySpec, load_study
from tests.helpers.tiny import tiny_model

STUDY = """\
name: toy
goal: Cats or dogs?
data: {source: rows.csv, splits: {validation: 0.25, test: 0.25}}
backbones: [model]
methods: {probe: {}}
search: {portfolio: false}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudySpec:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    tiny_model(tmp_path / "model")
    rows = [f"a {label} that says {number},{label}" for number in range(20) for label in ("cat", "dog")]
    (tmp_path / "rows.csv").write_text("\n".join(["text,label", *rows]))
    (tmp_path / "toy.yaml").write_text(STUDY)
    return load_study("toy.yaml")


def begun(spec: StudySpec, trials: int = 3, fork: str | None = None) -> tuple[StoredStudy, list[str]]:
    """The stored study and what was said."""
    said: list[str] = []
    return begin(spec, trials=trials, storage=None, fork=fork, say=said.append), said


def test_the_storage_holds_the_study_its_baselines_and_the_total_asked_for(spec: StudySpec) -> None:
    stored, said = begun(spec)
    assert (stored.about.goal, stored.about.budget) == ("Cats or dogs?", 3)
    assert [record.state for record in stored.records()] == ["waiting"]
    assert any("no text stands in two splits" in note for note in said)
    assert begun(spec, trials=5)[0].about.budget == 5
    assert begun(spec, trials=2)[1] == ["the total of all trials is 2 now, for every worker; it was 5"]
    assert begun(spec, fork="other")[0].name == "other"


def test_notes_are_told_once(spec: StudySpec) -> None:
    first = begun(spec)[1]
    assert any("no text stands in two splits" in note for note in first)
    assert begun(spec, trials=5)[1] == []
    assert begun(replace(spec, warnings=("a new one",)), trials=5)[1] == ["a new one"]
    assert begun(spec, fork="other")[1][:-1] == first[:-1]  # the last one is the reference, whose seconds differ


def test_the_reference_is_measured_once_for_the_same_data(spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = begun(spec)[0].reference
    assert reference is not None
    monkeypatch.setattr(module, "measure_reference", lambda _: pytest.fail("measured again"))
    assert begun(spec)[0].reference == reference


def test_the_reference_is_said_before_the_first_trial_unless_a_trial_says_it(spec: StudySpec) -> None:
    stored, said = begun(spec)
    assert stored.reference is not None
    assert said[-1] == stored.reference.sentence("macro_f1")
    assert re.fullmatch(
        r"for reference: TF-IDF \+ logistic regression reaches macro F1 \d\.\d{3} in \d+\.\d s", said[-1]
    )
    Path("toy.yaml").write_text(STUDY.replace("{probe: {}}", "{probe: {}, tfidf: {}}"))
    stored, said = begun(load_study("toy.yaml"), fork="other")
    assert stored.reference is not None
    assert not any("for reference" in note for note in said)


def test_texts_without_a_reference_are_searched_all_the_same(spec: StudySpec, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> Reference:
        raise UserError("empty vocabulary")

    monkeypatch.setattr(module, "measure_reference", fails)
    stored, said = begun(spec)
    assert (stored.reference, said[-1]) == (None, "no reference is measured: empty vocabulary")


def test_no_secret_of_a_url_reaches_the_database(spec: StudySpec) -> None:
    spec = load_study(spec, Overrides(source={"train": f"file+secret://me:hush@{Path.cwd()}/rows.csv?sig=hush"}))
    text = str(spec.data.source)
    assert "hush" in text
    stored, _ = begun(load_study("toy.yaml"))
    write_about(stored.study, About(spec.goal, spec.data.model_dump(mode="json"), 3))
    write_space(stored.study, signature(spec))
    stored.study.tell(stored.study.ask(), state=TrialState.FAIL)
    assert "hush" not in str(stored.study.user_attrs)
    assert b"hush" not in Path("runs/toy.db").read_bytes() + Path("runs/toy.db-wal").read_bytes()
    assert stored.about.data is not None
    assert stored.about.data["source"] == {"train": f"file+secret://me:***@{Path.cwd()}/rows.csv?sig=***"}


def test_a_machine_with_other_rows_is_refused(spec: StudySpec) -> None:
    stored, _ = begun(spec)
    lines = Path("rows.csv").read_text().splitlines()
    Path("rows.csv").write_text("\n".join(lines[:-1]))
    with pytest.raises(
        UserError, match=r"^the data of 'toy' on \S+ is not what the search was begun with \(train had 20 rows"
    ):
        begun(spec)
    assert begun(spec, fork="other")[0].name == "other"
    Path("rows.csv").write_text("\n".join(lines))
    assert begun(spec)[0].reference == stored.reference


def test_a_machine_with_other_packages_is_refused_unless_they_are_wanted_or_it_only_watches(
    spec: StudySpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(**how: bool) -> list[str]:
        said: list[str] = []
        begin(spec, trials=3, storage=None, fork=None, say=said.append, **how)  # type: ignore[arg-type]
        return said

    again(trains=False)
    monkeypatch.setattr(packages, "installed_versions", lambda: {"torch": "2.0.1"})
    again()
    monkeypatch.setattr(packages, "installed_versions", lambda: {"torch": "2.1.0"})
    assert again(trains=False) == []
    with pytest.raises(UserError, match=r"has torch 2\.1\.0, but the search was begun with torch 2\.0\.1; install"):
        again()
    assert [line.partition(" has ")[2] for line in again(other_packages=True)] == [
        "torch 2.1.0, but the search was begun with torch 2.0.1"
    ]
    assert again() == []


def test_nothing_that_is_prepared_lies_with_the_study(spec: StudySpec) -> None:
    begun(spec)
    assert not Path("runs/toy/data").exists()
    assert not Path("runs/toy/tokens").exists()
