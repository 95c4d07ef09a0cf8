"""`train`: one configuration without a search, from a file to a folder that labels texts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

import peftsearch
from peftsearch.cli import main
from peftsearch.core.config import TrialConfig
from peftsearch.core.errors import TrialFailure, UserError
from peftsearch.core.measurement import EpochReport
from peftsearch.data.base import TextData
from peftsearch.data.load import load_data
from peftsearch.methods.table import METHODS
from peftsearch.study.single import only_config
from peftsearch.study.spec import load_study
from peftsearch.training.loop.callbacks import Report
from peftsearch.training.trial import run_trial
from tests.helpers.files import json_lines
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS, toy_data

TRAINING = {"epochs": 3, "batch_size": 16, "precision": "fp32", "early_stopping": {"patience": 3}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and the rows of each split."""
    folder = tmp_path_factory.mktemp("work")
    tiny_model(folder / "model")
    for split, rows in toy_data(120, 60).splits.items():
        json_lines(folder / f"{split}.jsonl", ({"text": row["text"], "label": KEYS[row["label"]]} for row in rows))
    return folder


@pytest.fixture
def work(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = Path(shutil.copytree(folder, tmp_path / "work"))
    monkeypatch.chdir(work)
    return work


def write(method: str = "probe", settings: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """A configuration file in the working directory."""
    default = {name: parameter.default for name, parameter in METHODS[method].hyperparameters.items()}
    values = {name: getattr(d, "options", [getattr(d, "value", 0.03)])[0] for name, d in default.items()}
    document = {
        "name": "toy-7",
        "data": {"source": {split: f"{split}.jsonl" for split in ("train", "validation", "test")}, "max_length": 24},
        "backbones": ["model"],
        "training": TRAINING,
        "methods": {method: {**values, **(settings or {})}},
        "origin": {"study": "toy", "trial": 7, "best_epoch": 2},
    }
    file = Path("toy.json")
    file.write_text(json.dumps({**document, **changes}))
    return file


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def told(done: Result) -> list[str]:
    """What is said of the training, after the notes on the data."""
    lines = done.stderr.splitlines()
    return lines[next(place for place, line in enumerate(lines) if "learns from" in line) :]


def trial(file: Path, report: Report = lambda _: None, **changes: Any) -> Any:
    """What a search makes of the same configuration."""
    spec = load_study(file)
    data = load_data(spec.data, spec.folder, Path("runs/toy/data"))
    return run_trial(only_config(spec), data, report, cache=Path("runs/toy/tokens"), **changes)


@pytest.mark.parametrize(
    ("method", "settings"), [("full", {"learning_rate": 0.005}), ("lora", {"learning_rate": 0.03}), ("tfidf", {})]
)
def test_a_file_becomes_the_classifier_that_the_search_had(work: Path, method: str, settings: dict[str, Any]) -> None:
    file = write(method, settings, training={**TRAINING, "epochs": 6})
    kept = peftsearch.train_config(file, "out")
    assert kept.measurement.metrics == trial(file).measurement.metrics
    rows = toy_data(120, 60).splits["validation"]
    answers = peftsearch.load_classifier("out").predict(list(rows["text"]))
    right = [answer["label"] == KEYS[label] for answer, label in zip(answers, rows["label"], strict=True)]
    assert sum(right) / len(right) == pytest.approx(kept.measurement.metrics["accuracy"])
    assert sum(right) / len(right) > 0.8  # by chance a third
    assert "**Chosen from**: study toy, trial 7" in Path("out/README.md").read_text()


def test_what_no_search_has_found_claims_no_trial(work: Path) -> None:
    peftsearch.train_config(write("tfidf", origin=None), "out")
    assert "no search; toy-7 was trained as its file says" in Path("out/README.md").read_text()
    assert yaml.safe_load(Path("out/peftsearch.yaml").read_text())["trial"] is None


def test_a_trial_that_the_time_limit_ended_is_trained_to_the_same_end(work: Path) -> None:
    origin = {"study": "toy", "trial": 7, "best_epoch": 1, "epochs": 1, "out_of_time": True}
    file = write(origin=origin)
    done = run("--config", str(file), "--out", "out")
    announced, why, *epochs, _ = told(done)
    assert announced.endswith("learns from 120 rows for at most 1 epoch")
    assert (
        why == "the time limit of its search ended it there; to train all epochs, delete origin.out_of_time in the file"
    )
    assert [line.partition(":")[0] for line in epochs] == ["epoch 1"]
    whole = run("--config", str(write(origin={**origin, "out_of_time": False})), "--out", "whole")
    assert [line.partition(":")[0] for line in told(whole)[1:-1]] == ["epoch 1", "epoch 2", "epoch 3"]


def test_the_epochs_are_shown_and_the_best_one_is_named(work: Path) -> None:
    done = run("--config", str(write()), "--out", "out")
    *lines, proof = told(done)
    assert "without peftsearch, it labels 60 validation rows: 0 labels differ" in proof
    assert lines[0].startswith("probe (")
    assert lines[0].endswith("learns from 120 rows for at most 3 epochs")
    assert [line.split(":")[0] for line in lines[1:]] == ["epoch 1", "epoch 2", "epoch 3"]
    scores = [float(line.split("macro F1 ")[1].split(",")[0]) for line in lines[1:]]
    best = scores.index(max(scores)) + 1
    assert done.stdout == (
        f"probe after epoch {best}: macro F1 {max(scores):.4f} on the validation split; it is in out; "
        "to label texts:\n  peftsearch predict out --text '…'\n"
    )


def test_the_test_split_is_never_read(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[set[str]] = []

    def stopped(config: TrialConfig, data: TextData, *_: Any, **__: Any) -> None:
        seen.append(set(data.splits))
        raise TrialFailure("not_finite", "training loss is nan")

    monkeypatch.setattr("peftsearch.training.trial.run_trial", stopped)
    for all_rows in (False, True):
        with pytest.raises(UserError, match=r"^toy.json: training failed: training loss is nan$"):
            peftsearch.train_config(write(), "out", all_rows=all_rows)
    assert seen == [{"train", "validation"}] * 2
    assert not Path("out").exists()


def test_all_rows_are_trained_for_the_epochs_that_the_search_found(work: Path) -> None:
    """The weights are those of the best epoch under the search's schedule, on more rows, and nothing is scored."""
    origin = {"best_epoch": 5, "metric": "macro_f1", "score": 0.75}
    file = write("full", {"learning_rate": 0.005}, training={**TRAINING, "epochs": 6}, origin=origin)
    done = run("--config", str(file), "--all-rows", "--out", "out", "--json")
    assert done.exit_code == 0, done.output
    *lines, proof = told(done)
    assert "0 labels differ" in proof
    assert lines[0].endswith("learns from 180 rows for 5 epochs")
    assert [line.split(": training loss")[0] for line in lines[1:]] == [f"epoch {number}" for number in range(1, 6)]
    measured = json.loads(done.stdout)["measurement"]
    assert (measured["metrics"], measured["classes"]) == ({}, None)
    assert (measured["best_epoch"], measured["epochs"]) == (5, 5)
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "it has no score of its own" in card
    assert "reached macro F1 0.7500 on the validation rows" in card
    assert "180 training and validation rows" in card
    texts = ["the cat is good", "a very red word1", "not a dog"]
    assert [answer["label"] for answer in peftsearch.load_classifier("out").predict(texts)] == ["cat", "red", "dog"]


def test_the_last_epoch_is_kept_whatever_its_score(work: Path) -> None:
    """It scores what the same epoch of a longer training scores, under one schedule."""
    file, reports = write("full", {"learning_rate": 0.005}), list[EpochReport]()
    whole = trial(file, report=reports.append).measurement
    measured = trial(file, last_epoch=2).measurement
    assert (measured.best_epoch, measured.epochs) == (2, 2)
    assert measured.metrics["macro_f1"] == reports[1].metrics["macro_f1"]
    assert whole.epochs == len(reports) == 3


def test_a_seed_and_other_data_replace_the_file_s(work: Path) -> None:
    file = write(data={"source": "nowhere.csv", "max_length": 24})
    done = run(
        "--config", str(file), "--data", "train=train.jsonl,validation=validation.jsonl,test=test.jsonl",
        "--limit", "train=60", "--seed", "5", "--out", "out", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "learns from 60 rows" in done.stderr
    assert json.loads(done.stdout)["measurement"]["seed"] == 5


def refused(*arguments: str) -> str:
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    return done.stderr.removeprefix("Error: ").rstrip()


def test_what_is_refused_is_one_line_and_leaves_nothing(work: Path) -> None:
    told = {
        "no.yaml": "--config no.yaml: there is no such file; write one with: peftsearch export --config no.yaml",
        str(write(origin=None)): "toy.json: origin.best_epoch: is missing, and --all-rows leaves no rows to choose the "
        "best epoch by; train without --all-rows first, and write the best epoch there",
    }
    for file, message in told.items():
        assert refused("--config", file, "--all-rows", "--out", "out") == message
    hidden = write(data={"source": "https://host/rows.csv?sig=***"})
    assert refused("--config", str(hidden), "--out", "out") == (
        "toy.json: data.source: the secrets of its URL are not kept; name it with --data"
    )
    unfit = write("prefix", {"virtual_tokens": 200})
    assert "prefix takes 200" in refused("--config", str(unfit), "--out", "out")
    broken = write(training={**TRAINING, "epochs": "many"})
    assert refused("--config", str(broken), "--out", "out") == (
        "toy.json: training.epochs: must be a whole number within 1 … 10000, but got 'many'"
    )
    assert not Path("out").exists()


def test_a_folder_that_holds_something_is_kept(work: Path) -> None:
    Path("out").mkdir()
    Path("out/mine.txt").write_text("mine")
    with pytest.raises(UserError, match="--out out: "):
        peftsearch.train_config(write(), "out", overwrite=True)
    assert Path("out/mine.txt").read_text() == "mine"


def test_a_loaded_study_is_taken_too(work: Path) -> None:
    kept = peftsearch.train_config(load_study(write()), "out")
    assert isinstance(kept.config, TrialConfig)
    assert kept.number == 7
