"""`confirm` as a user meets it: on real data, a tiny model, and trials as a search leaves them."""

from __future__ import annotations

import json
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
from peftsearch.storage.confirmations import SeedRun
from peftsearch.storage.records import Record
from tests.helpers.records import complete, measurement, store
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS, toy_data
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
    tiny_model(tmp_path / "model")
    rows = [{"text": row["text"], "label": KEYS[row["label"]]} for split in toy_data().splits.values() for row in split]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "toy.yaml").write_text(STUDY)
    spec = load_study("toy.yaml", peftsearch.Overrides(limit={"train": 60}))
    data = peftsearch.check_study(spec)
    records = [trial(0, "probe", 0.9, 99, data.fingerprint), trial(1, "tfidf", 0.8, 9, data.fingerprint)]
    store(tmp_path / "runs", records, about={"data": spec.data.model_dump(mode="json"), "budget": 2})
    return tmp_path


def trial(number: int, method: str, macro_f1: float, parameters: int, fingerprint: str) -> Record:
    training = TrainingConfig(epochs=2, batch_size=16, precision="fp32")
    return replace(
        complete(number, method, macro_f1, parameters, 1.0),
        config=TrialConfig("model", method, settings_of(method), training, max_length=24),
        measurement=measurement(macro_f1, parameters, 1.0, data_fingerprint=fingerprint),
    )


def test_the_front_is_confirmed_and_running_again_trains_nothing(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = run("--seeds", "2")
    assert shown.exit_code == 0, shown.output
    assert [line.split(":")[0] for line in shown.stderr.splitlines()] == [
        "3 runs to do, about 3 s of training",
        *("1 of 3", "2 of 3", "3 of 3"),
    ]
    assert shown.stdout.startswith("toy: 2 trials trained again with other seeds, and measured on the test split (48 ")
    assert "1 (deterministic)" in shown.stdout
    assert "macro F1 is 0." in shown.stdout

    monkeypatch.setattr(confirm_module, "run_once", lambda *_: pytest.fail("trained again"))
    again = run("--seeds", "2", "--json")
    assert again.stderr == "all of these runs are already done\n"
    found = json.loads(again.stdout)
    assert {row["trial"]: len(row["runs"]) for row in found["trials"]} == {0: 2, 1: 1}
    assert found["opened"][0]["trials"] == [0, 1]
    assert found["trials"][0]["runs"][0]["measurement"]["seed"] == 43
    assert all(run["test"]["classes"]["labels"] == list(KEYS) for row in found["trials"] for run in row["runs"])


def test_ctrl_c_shows_what_is_done_and_says_how_to_go_on(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = confirm_module.run_once

    def interrupted(number: int, *rest: object) -> SeedRun:
        if number == 0:
            raise KeyboardInterrupt
        return real(number, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(confirm_module, "run_once", interrupted)
    shown = run("--trial", "1", "--trial", "best", "--seeds", "1")
    assert shown.exit_code == 130
    assert shown.stderr.splitlines()[-1] == "stopped by Ctrl-C: the unfinished run is lost; the same command continues"
    assert shown.stdout.startswith("toy: 1 trial trained again")


def test_changed_data_is_refused(work: Path) -> None:
    rows = (work / "rows.jsonl").read_text().splitlines()
    (work / "rows.jsonl").write_text("\n".join(rows[:-6]))
    shown = run()
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("Error: the data of 'toy' is not what trial 0 was trained on (fingerprint ")


def test_a_trial_is_a_number_or_best(work: Path) -> None:
    shown = run("--trial", "first")
    assert shown.exit_code == 2
    assert "'first' is neither a trial's number nor 'best'" in shown.stderr


def test_from_python(work: Path) -> None:
    found = confirm_study("toy.yaml", trials=[1], seeds=3)
    assert [(row.record.number, list(row.test)) for row in found.rows] == [(1, [43])]
    with pytest.raises(UserError, match="has no trial 7"):
        peftsearch.confirm_study("toy.yaml", trials=[7])
