"""An epoch of a trial taken away: its kept weights, the same trained again, and trained from its configuration."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from peftsearch import api
from peftsearch.cli import main
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.files.checksums import seal
from peftsearch.core.measurement import EpochReport
from peftsearch.core.predictions import Predictions
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.kept.predictions import read_predictions, write_predictions
from peftsearch.storage.records import Record
from peftsearch.training.trial import run_trial
from tests.export.test_retrain import STUDY
from tests.helpers.folders import fill_toy_folder, work_in_copy
from tests.helpers.records import store
from tests.helpers.tuning import settings_of


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working directory with one trial of three epochs that was trained for real, and with the weights of each."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(work := tmp_path_factory.mktemp("work"))
        patched.delenv("PEFTSEARCH_STORAGE", raising=False)
        fill_toy_folder(work, STUDY)
        data, spec = api.check_study("toy.yaml"), api.load_study("toy.yaml")
        training = TrainingConfig(epochs=3, batch_size=16, precision="fp32")
        config = TrialConfig(
            str(work / "model"), "bitfit", settings_of("bitfit", learning_rate=0.01), training, max_length=24
        )
        curve: list[EpochReport] = []

        def keep(report: EpochReport) -> None:
            curve.append(replace(report, trained=None))
            assert report.trained is not None
            folder = work / "runs" / "toy" / "weights" / f"0@{report.epoch}"
            report.trained.save(folder)
            assert report.trained.predictions is not None
            write_predictions(folder / "predictions.npz", report.trained.predictions)
            seal(folder)

        result = run_trial(config, data, keep, cache=work / "runs" / "toy" / "tokens")
        measured = result.measurement
        names = ("macro_f1", "trainable_parameters", "train_seconds")
        values = (measured.metrics["macro_f1"], float(measured.trainable_parameters), measured.train_seconds)
        whole = Record(0, "complete", config, dict(zip(names, values, strict=True)), measured, tuple(curve))
        about = {"data": spec.data.model_dump(mode="json")}
        store(work / "runs", [whole], about=about, every_epoch=True)
        yield work


@pytest.fixture
def work(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return work_in_copy(searched, tmp_path, monkeypatch)


def run(*arguments: str) -> Result:
    found = CliRunner().invoke(main, list(arguments))
    assert found.exit_code == 0, found.output
    return found


def answers(folder: str, work: Path) -> list[str]:
    """What the exported classifier says of the validation rows."""
    rows = api.check_study("toy.yaml").splits["validation"]
    return [answer["label"] for answer in api.load_classifier(folder).predict(rows["text"])]


def labels_of(said: Predictions) -> list[str]:
    names = api.check_study("toy.yaml").labels
    return [names[place] for place in said.predicted]


def test_the_export_of_an_epoch_says_what_the_epoch_said_of_the_validation_rows(work: Path) -> None:
    study = open_stored("toy")
    said = study.predictions("0@1")
    assert said is not None
    done = run("export", "--study", "toy.yaml", "--trial", "0@1", "--out", "out")
    assert "labels 48 validation rows: 0 labels differ" in done.stderr
    assert done.stdout.startswith("trial 0, epoch 1 (bitfit) is in out (")
    assert answers("out", work) == labels_of(said)
    described = yaml.safe_load(Path("out/peftsearch.yaml").read_text(encoding="utf-8"))
    assert (described["trial"], described["epoch"], described["measurement"]["epochs"]) == (0, 1, 1)
    assert described["measurement"]["metrics"]["macro_f1"] == study.trial("0@1").values["macro_f1"]
    card = Path("out/README.md").read_text(encoding="utf-8")
    assert "- **Chosen from**: study toy, trial 0, epoch 1" in card
    assert "1 epochs, the weights are those of epoch 1" in card


def test_an_epoch_without_weights_is_trained_as_far_again_and_is_the_same(work: Path) -> None:
    said = open_stored("toy").predictions("0@2")
    assert said is not None
    shutil.rmtree(work / "runs" / "toy" / "weights" / "0@2")
    refused = CliRunner().invoke(main, ["export", "--study", "toy.yaml", "--trial", "0@2", "--out", "out"])
    assert refused.exit_code == 2
    assert "add --retrain" in refused.stderr
    found = f"{open_stored('toy').trial('0@2').values['macro_f1']:.4f}"
    done = run("export", "--study", "toy.yaml", "--trial", "0@2", "--out", "out", "--retrain")
    assert done.stderr.splitlines()[0] == (
        f"trial 0, epoch 2 was trained again: macro F1 {found}; in the search: macro F1 {found}"
    )
    assert answers("out", work) == labels_of(said)


def test_the_configuration_of_an_epoch_trains_as_far_as_that(work: Path) -> None:
    said = open_stored("toy").predictions("0@2")
    assert said is not None
    run("export", "--study", "toy.yaml", "--trial", "0@2", "--config", "two.yaml")
    done = run("train", "--config", "two.yaml", "--out", "trained")
    assert done.stdout.startswith("bitfit after epoch 2: macro F1 ")
    assert "rows for 2 epochs\n" in done.stderr
    assert "the weights are those of that epoch; to train all epochs, delete origin.epoch in the file" in done.stderr
    assert answers("trained", work) == labels_of(said)


def test_a_script_for_an_epoch_keeps_its_last_one(work: Path) -> None:
    run("export", "--study", "toy.yaml", "--trial", "0@2", "--script", "two.py")
    text = Path("two.py").read_text(encoding="utf-8")
    assert "LAST_EPOCH = 2\n" in text
    assert "        if epoch + 1 == LAST_EPOCH:\n            best = score\n" in text
    assert "if score > best" not in text
    assert "leave the weights of the last epoch in the model" in text


def test_a_whole_trial_is_exported_from_the_folder_of_its_best_epoch(work: Path) -> None:
    """Both have the same weights, and only one of them may be kept."""
    study = open_stored("toy")
    measured = study.trial(0).measurement
    assert measured is not None
    run("export", "--study", "toy.yaml", "--trial", "0", "--out", "out")
    described = yaml.safe_load(Path("out/peftsearch.yaml").read_text(encoding="utf-8"))
    assert (described["trial"], described["epoch"], described["measurement"]["epochs"]) == (0, None, 3)
    said = read_predictions(study.folder.weights / f"0@{measured.best_epoch}" / "predictions.npz")
    assert said is not None
    assert answers("out", work) == labels_of(said)
