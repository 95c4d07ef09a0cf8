"""`confirm` as a user meets it: on real data, a tiny model, and trials as a search leaves them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import peftsearch
from peftsearch import confirm_study, load_study
from peftsearch.cli import main
from peftsearch.confirm import run as confirm_module
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.results.reference import measure_reference
from peftsearch.storage.records import Record
from peftsearch.workers.outcome import Outcome
from tests.helpers.folders import fill_toy_folder
from tests.helpers.records import complete, measurement, store
from tests.helpers.toy import KEYS
from tests.helpers.tuning import settings_of

STUDY = """\
name: toy
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 2, batch_size: 16}
methods: {probe: {learning_rate: 0.05}, tfidf: {}}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["confirm", "--study", "toy.yaml", *arguments])


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory in which a search with `--limit train=60` has found two trials."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    fill_toy_folder(tmp_path, STUDY)
    spec = load_study("toy.yaml", peftsearch.Overrides(limit={"train": 60}))
    data = peftsearch.check_study(spec)
    records = [trial(0, "probe", 0.9, 99, data.fingerprint), trial(1, "tfidf", 0.8, 9, data.fingerprint)]
    about = {"data": spec.data.model_dump(mode="json"), "budget": 2}
    store(tmp_path / "runs", records, about=about, reference=measure_reference(data).to_dict())
    return tmp_path


def trial(number: int, method: str, macro_f1: float, parameters: int, fingerprint: str) -> Record:
    training = TrainingConfig(epochs=2, batch_size=16, precision="auto")
    return replace(
        complete(number, method, macro_f1, parameters, 1.0),
        config=TrialConfig("model", method, settings_of(method), training, max_length=24),
        measurement=measurement(
            macro_f1, parameters, 1.0, data_fingerprint=fingerprint, threads=2, exact=method == "probe"
        ),
    )


def test_the_front_is_confirmed_and_running_again_trains_nothing(work: Path) -> None:
    """In worker processes, on real data and a tiny model, with the reference as a row of its own."""
    shown = run("--seeds", "2")
    assert shown.exit_code == 0, shown.output
    first, *ended = shown.stderr.splitlines()
    assert first == "4 runs to do, about 3 s of training"
    assert [line.split()[0] for line in ended] == ["1/4", "2/4", "3/4", "4/4"]
    scores = r"macro F1 [\d.]+ on test, [\d.]+ on validation"
    assert re.search(rf", seed 43: {scores}, took \d+ s, about .* left$", ended[0])
    assert "left" not in ended[-1]
    assert shown.stdout.startswith("toy: 2 trials trained again with other seeds, and measured on the test split (48 ")
    assert "1 (no chance)" in shown.stdout
    assert "ref." in shown.stdout

    again = run("--seeds", "2", "--json")
    assert again.stderr == "all of these runs are already done\n"
    found = json.loads(again.stdout)
    assert {row["trial"]: len(row["runs"]) for row in found["trials"]} == {0: 2, 1: 1}
    assert found["opened"][0]["trials"] == [0, 1]
    runs = found["trials"][0]["runs"] if found["trials"][0]["trial"] == 0 else found["trials"][1]["runs"]
    measured = runs[0]["measurement"]
    assert (measured["seed"], measured["threads"], measured["exact"], measured["precision"]) == (43, 2, True, "fp32")
    assert all(run["test"]["classes"]["labels"] == list(KEYS) for row in found["trials"] for run in row["runs"])
    assert all(row["interval"]["low"] <= row["test"]["mean"] <= row["interval"]["high"] for row in found["trials"])
    kept = sorted(file.name for file in (work / "runs" / "toy" / "predictions").iterdir())
    assert kept == sorted(
        f"{trial}-seed-{seed}-{split}.npz"
        for trial, seed in ((0, 43), (0, 44), (1, 43), ("reference", 43))
        for split in ("validation", "test")
    )


@pytest.mark.parametrize(
    ("outcome", "code", "last"),
    [
        (
            Outcome("interrupted", "Ctrl-C"), 130,
            "stopped by Ctrl-C: the unfinished runs are lost; the same command continues",
        ),
        (
            Outcome("interrupted", "SIGTERM"), 143,
            "stopped by SIGTERM: the unfinished runs are lost; the same command continues",
        ),
        (
            Outcome("deaths", "3 workers died in a row"), 1,
            "Error: confirming gave up: 3 workers died in a row; the same command continues",
        ),
    ],
)  # fmt: skip
def test_an_early_end_shows_what_is_done_and_says_how_to_go_on(
    work: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int, last: str
) -> None:
    monkeypatch.setattr(confirm_module, "run_workers", lambda *_, **__: outcome)
    shown = run("--trial", "1", "--trial", "best", "--seeds", "1")
    assert shown.exit_code == code
    assert shown.stderr.splitlines()[-1] == last
    assert shown.stdout == "toy: no trial has been confirmed yet\n"


def test_changed_data_is_refused(work: Path) -> None:
    rows = (work / "rows.jsonl").read_text().splitlines()
    (work / "rows.jsonl").write_text("\n".join(rows[:-6]))
    shown = run()
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("Error: the data of 'toy' is not what trial 0 was trained on (fingerprint ")


def test_a_trial_is_a_number_or_best(work: Path) -> None:
    shown = run("--trial", "first")
    assert shown.exit_code == 2
    assert "'first' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'" in shown.stderr


def test_from_python(work: Path) -> None:
    found = confirm_study("toy.yaml", trials=[1], seeds=3)
    assert [(row.record.number, list(row.test)) for row in found.rows] == [(1, [43])]
    with pytest.raises(UserError, match="has no trial 7"):
        peftsearch.confirm_study("toy.yaml", trials=[7])
