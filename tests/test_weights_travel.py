"""Weights that one machine has trained, used on another one: two working folders, one storage, one shared place."""

from __future__ import annotations

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peftsearch.cli import main
from peftsearch.optimize.begin import begin, job_of
from peftsearch.predict.load import load_classifier
from peftsearch.results import checkpoints
from peftsearch.results.checkpoints import checkpoint_problems, fetched
from peftsearch.results.open import open_results
from peftsearch.results.stored_study import StoredStudy
from peftsearch.storage.artifacts.listed import artifacts_of, write_removed
from peftsearch.study.spec import load_study
from peftsearch.workers.worker import run_job
from tests.helpers.folders import fill_without_study

STUDY = """\
name: toy
data: {{source: {root}/rows.jsonl, splits: {{validation: 0.25, test: 0.25}}, max_length: 24}}
backbones: [{root}/model]
training: {{epochs: 2, batch_size: 8, precision: fp32}}
search: {{portfolio: false}}
methods:
  full: {{learning_rate: {{log: [1.0e-3, 1.0e-2]}}}}
  probe: {{learning_rate: {{log: [1.0e-3, 1.0e-1]}}}}
  tfidf: {{}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What both machines have: data, a tiny random model, the study file."""
    found = tmp_path_factory.mktemp("machines")
    fill_without_study(found)
    for machine in ("a", "b"):
        (found / machine).mkdir()
        (found / machine / "toy.yaml").write_text(STUDY.format(root=found))
    return found


@pytest.fixture(scope="module")
def trained(root: Path) -> str:
    """The URL of the storage after machine A has trained, with the shared place given once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root / "a")
        url, spec = f"sqlite:///{root}/trials.db", load_study("toy.yaml")
        place = str(root / "shared")
        stored = begin(spec, trials=3, storage=url, fork=None, artifacts=place, say=lambda _: None)
        job = job_of(
            stored, spec, trials=3, trial_timeout=None, sampler=None, pruner="none", seed=None, exact=False,
            cache_size=None,
        )  # fmt: skip
        assert job.artifacts == place
        assert run_job(job, threading.Event()).ending == "budget"
    return url


@pytest.fixture
def there(root: Path, trained: str, monkeypatch: pytest.MonkeyPatch) -> StoredStudy:
    """The results as machine B opens them, whose own runs hold nothing yet."""
    monkeypatch.chdir(root / "b")
    monkeypatch.setenv("PEFTSEARCH_STORAGE", trained)
    return open_results("toy.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--study", "toy.yaml"])


def test_whatever_is_on_the_front_is_used_on_another_machine_as_it_was_trained(
    there: StoredStudy, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = there.front()
    assert {row.config.method for row in front} >= {"probe", "tfidf"}
    assert not there.folder.weights.exists()
    texts = [row["text"] for row in map(json.loads, (root / "rows.jsonl").read_text().splitlines()[:40])]
    for row in front:
        out = root / "b" / f"model-{row.point}"
        shown = run("export", "--trial", str(row.point), "--out", str(out))
        assert shown.exit_code == 0, shown.output
        with monkeypatch.context() as at_a:
            at_a.chdir(root / "a")
            twin = root / "a" / f"model-{row.point}"
            assert run("export", "--trial", str(row.point), "--out", str(twin)).exit_code == 0
        here, away = (load_classifier(folder).predict(texts) for folder in (out, twin))
        assert list(here) == list(away)
        assert there.weights(row.point) is not None


def test_bringing_weights_is_said_once(there: StoredStudy, root: Path, tmp_path: Path) -> None:
    row, said = there.best(), list[str]()
    for _ in range(2):
        assert fetched(there.study, row.record, tmp_path, said.append) is not None
    assert said == [f"bringing the weights of {row.point.in_words} from {root}/shared"]


def test_views_say_where_weights_are_and_bring_none_of_them(
    there: StoredStudy, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTSEARCH_RUNS", str(root / "c"))
    point = str(there.best().point)
    shown = CliRunner().invoke(main, ["trial", point, "--study", "toy.yaml"])
    assert f"weights: in {root}/shared, from where export" in shown.output.replace("\n  ", " ")
    assert run("front").exit_code == run("status").exit_code == 0
    assert not list((root / "c").rglob("*.safetensors"))


def test_the_report_brings_what_was_said_of_each_row_and_no_weights(
    there: StoredStudy, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTSEARCH_RUNS", str(root / "d"))
    assert run("check").exit_code == 0  # prepares the texts
    page = root / "page.html"
    assert run("report", "--out", str(page)).exit_code == 0
    assert "is not kept" not in page.read_text()
    assert list((root / "d").rglob("*.npz"))
    assert not list((root / "d").rglob("*.safetensors"))


def test_a_report_is_written_although_the_place_is_away(
    there: StoredStudy, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PEFTSEARCH_RUNS", str(root / "away"))
    monkeypatch.setenv("PEFTSEARCH_ARTIFACTS", str(root / "unmounted"))
    page = root / "away.html"
    assert run("report", "--out", str(page)).exit_code == 0
    assert "The texts that it labelled wrongly are not shown: the weights of" in page.read_text()
    assert f"which is not {root}/unmounted on this machine" in page.read_text()


def test_what_has_not_reached_the_place_is_said_on_every_machine(
    there: StoredStudy, root: Path, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert there.checkpoint_problems() == []
    with closing(sqlite3.connect(root / "trials.db")) as own, closing(sqlite3.connect(root / "other.db")) as other:
        own.backup(other)
    study = open_results("toy.yaml", storage=trained.replace("trials.db", "other.db")).study
    front = there.front()
    trained_on = front[0].record.worker["host"]
    write_removed(study, [artifact.id for artifact in artifacts_of(study)])
    at_a = checkpoint_problems(study, front, root / "e")
    monkeypatch.setattr(checkpoints, "host", lambda: "elsewhere")
    elsewhere = checkpoint_problems(study, front, root / "e")
    first = front[0].point
    again = f"to train the trial again: peftsearch export --study toy --trial {first} --retrain --out DIR"
    assert at_a[0] == f"the checkpoint of {first.in_words} is missing ({root}/e/{first}); {again}"
    assert elsewhere[0] == (
        f"the weights of {first.in_words} have not reached {root}/shared from {trained_on}; the same search there"
        " brings them"
    )
    assert len(at_a) == len(elsewhere) == len(front)


def test_the_next_start_of_the_search_brings_what_the_place_lacks(
    there: StoredStudy, root: Path, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_removed(there.study, [artifact.id for artifact in artifacts_of(there.study)])
    monkeypatch.chdir(root / "a")
    said: list[str] = []
    begin(load_study("toy.yaml"), trials=3, storage=trained, fork=None, say=said.append)
    front = {row.point for row in there.front()}
    assert front <= {artifact.point for artifact in artifacts_of(there.study) if artifact.late and artifact.whole}
    assert not any("weights" in line for line in said)


def test_a_place_that_cannot_be_used_is_refused_before_anything_is_trained(
    there: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = run("optimize", "--trials", "9", "--artifacts", "s3://key:secret@bucket")
    assert shown.exit_code == 2
    assert shown.output.startswith("Error: --artifacts 's3://key:***@bucket': is not the URL of a bucket")
    assert there.status().done == 3
    assert not there.status().running
