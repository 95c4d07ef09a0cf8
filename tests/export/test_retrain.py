"""Checkpoints that are gone or damaged: `status`, `optimize` and `export` say so, and a trial can be trained again."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peftsearch import api
from peftsearch.cli import main
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.files.checksums import seal
from peftsearch.core.points import Point
from peftsearch.results.stored_study import open_stored
from peftsearch.storage.kept.front_checkpoints import save_checkpoint
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.prepare import prepare
from peftsearch.storage.records import Record
from peftsearch.training.checkpoint import read_checkpoint
from peftsearch.training.trial import run_trial
from tests.helpers.damage import DAMAGES
from tests.helpers.folders import fill_toy_folder, work_in_copy
from tests.helpers.records import complete, report, store
from tests.helpers.tuning import settings_of

STUDY = """\
name: toy
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 2, batch_size: 16, precision: fp32}
methods:
  probe: {learning_rate: 0.05}
  bitfit: {learning_rate: 0.01}
"""

AGAIN = "to train the trial again: peftsearch export --study toy --trial 0 --retrain --out DIR"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with one trial that was trained for real, on the front, and a worse one without weights."""
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(work := tmp_path_factory.mktemp("work"))
        patched.delenv("PEFTSEARCH_STORAGE", raising=False)
        fill_toy_folder(work, STUDY)
        data, spec = api.check_study("toy.yaml"), api.load_study("toy.yaml")
        training = TrainingConfig(epochs=2, batch_size=16, precision="fp32")
        settings = settings_of("bitfit", learning_rate=0.01)
        config = TrialConfig(str(work / "model"), "bitfit", settings, training, max_length=24)
        result = run_trial(config, data, lambda _: None, cache=work / "runs" / "toy" / "tokens")
        save_checkpoint(result, work / "runs" / "toy" / "weights", Point(0))
        better = complete(0, "bitfit", result.measurement.metrics["macro_f1"], 10, 1.0)
        worse = complete(1, "probe", 0.0, 20, 2.0)
        here = {"host": host(), "pid": 1}
        measured = {"measurement": result.measurement, "config": config, "worker": here}
        store(work / "runs", [replace(better, **measured), replace(worse, **measured)])  # type: ignore[arg-type]
        prepare(spec, "sqlite:///runs/toy.db")
    return work


@pytest.fixture
def work(searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return work_in_copy(searched, tmp_path, monkeypatch)


def gone(checkpoint: Path) -> str:
    shutil.rmtree(checkpoint)
    return f"missing ({checkpoint})"


def all_gone(checkpoint: Path) -> str:
    shutil.rmtree(checkpoint.parent)
    return f"missing ({checkpoint})"


def of_another_version(checkpoint: Path) -> None:
    about = json.loads((checkpoint / "trial.json").read_text(encoding="utf-8"))
    about["measurement"]["watts"] = 9.5
    (checkpoint / "trial.json").write_text(json.dumps(about), encoding="utf-8")
    seal(checkpoint)


def without_tensors(checkpoint: Path) -> str:
    (checkpoint / "trainable.safetensors").unlink()
    return f"missing ({checkpoint})"


def damaged(name: str, damage: str) -> Callable[[Path], str]:
    def change(checkpoint: Path) -> str:
        alone = checkpoint.with_name("alone")
        alone.mkdir()
        shutil.move(checkpoint / name, alone)
        DAMAGES[damage](alone, random.Random(name + damage))
        for file in alone.iterdir():
            shutil.move(file, checkpoint)
        alone.rmdir()
        return f"damaged ({checkpoint / name})"

    return change


def cut_by_an_earlier_version(checkpoint: Path) -> str:
    (checkpoint / "checksums.json").unlink()
    return damaged("trainable.safetensors", "cut")(checkpoint)


HARM = {
    "gone": gone,
    "all gone": all_gone,
    "no tensors": without_tensors,
    "tensors cut": damaged("trainable.safetensors", "cut"),
    "tensors garbage": damaged("trainable.safetensors", "garbage"),
    "description cut": damaged("trial.json", "cut"),
    "description gone": damaged("trial.json", "missing"),
    "checksums cut": damaged("checksums.json", "cut"),
    "cut before checksums": cut_by_an_earlier_version,
}


@pytest.mark.parametrize("harm", HARM)
def test_what_is_wrong_is_said_and_mended(work: Path, harm: str) -> None:
    problem = HARM[harm](Path("runs/toy/weights/0"))
    line = f"the checkpoint of trial 0 is {problem}; {AGAIN}"
    assert run("status", "--study", "toy.yaml").stderr == f"{line}\n"
    assert line in run("optimize", "--study", "toy.yaml", "--trials", "2").stderr.splitlines()
    refused = run("export", "--study", "toy.yaml", "--out", "out")
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"Error: --trial 0: its checkpoint is {problem}; to train the trial again and then export it, add --retrain\n"
    )
    assert not Path("out").exists()

    done = run("export", "--study", "toy.yaml", "--out", "out", "--retrain")
    assert done.exit_code == 0, done.output
    found = api.open_results("toy.yaml").trial(0).values["macro_f1"]
    again, proof = done.stderr.splitlines()
    assert again == f"trial 0 was trained again: macro F1 {found:.4f}; in the search: macro F1 {found:.4f}"
    assert "without peftsearch, it labels 48 validation rows: 0 labels differ" in proof
    assert run("status", "--study", "toy.yaml").stderr == ""
    assert api.load_classifier("out").config.method == "bitfit"


def test_a_checkpoint_of_another_version(work: Path) -> None:
    of_another_version(work / "runs" / "toy" / "weights" / "0")
    refused = run("export", "--study", "toy.yaml", "--out", "out")
    assert refused.stderr == (
        "Error: runs/toy/weights/0/trial.json is damaged, or of another version; train the trial again: "
        "peftsearch export --retrain\n"
    )
    assert run("export", "--study", "toy.yaml", "--out", "out", "--retrain").exit_code == 0


def test_a_trial_whose_weights_were_not_kept(work: Path) -> None:
    refused = run("export", "--study", "toy.yaml", "--trial", "1", "--out", "out")
    assert refused.stderr == (
        "Error: --trial 1: its weights were not kept (only the front's are); add --retrain to train it again as the "
        "search did, or train its configuration: peftsearch export --study toy --trial 1 --config trial-1.yaml, then: "
        "peftsearch train --config trial-1.yaml --out DIR\n"
    )
    assert run("export", "--study", "toy.yaml", "--trial", "1", "--out", "out", "--retrain").exit_code == 0


@pytest.mark.parametrize("more", [[], ["--retrain"]])
def test_a_pruned_trial_has_no_end_to_repeat_but_a_configuration(
    work: Path, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    shutil.rmtree(work / "runs" / "toy" / "weights")
    pruned = Record(0, "pruned", complete(0, "probe", 0.1, 10, 1.0).config, curve=(report(1, 0.1),), reason="dominated")
    monkeypatch.setenv("PEFTSEARCH_STORAGE", store(work, [pruned]))
    refused = run("export", "--study", "toy.yaml", "--trial", "0", "--out", "out", *more)
    assert (refused.exit_code, refused.stderr) == (
        2,
        "Error: --trial 0: it was pruned, and has no weights; train its configuration: peftsearch export --study toy "
        "--trial 0 --config trial-0.yaml, then: peftsearch train --config trial-0.yaml --out DIR\n",
    )


def test_whole_weights_are_not_trained_again(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("peftsearch.api.train_again", lambda *_: pytest.fail("trained"))
    done = run("export", "--study", "toy.yaml", "--trial", "recommended", "--out", "out", "--retrain")
    assert done.exit_code == 0
    assert done.stderr.startswith("recommended is trial 0: it ")
    assert run("status", "--study", "toy.yaml").stderr == ""


def test_a_trial_that_the_time_limit_ended_is_trained_to_the_same_end(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = api.open_results("toy.yaml").trial(0)
    assert record.measurement
    cut = replace(record, measurement=replace(record.measurement, out_of_time=True, epochs=1))
    shutil.rmtree(work / "runs" / "toy" / "weights")
    monkeypatch.setenv("PEFTSEARCH_STORAGE", store(work, [cut]))
    done = run("export", "--study", "toy.yaml", "--trial", "0", "--out", "out", "--retrain")
    assert "trial 0 was trained again and ended after epoch 1, as the time limit ended it: macro F1 " in done.stderr
    assert read_checkpoint(work / "runs" / "toy" / "weights", Point(0)).measurement.cut_after == 1


def test_other_data_is_refused(work: Path) -> None:
    shutil.rmtree(work / "runs" / "toy" / "weights")
    lines = (work / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    (work / "rows.jsonl").write_text("\n".join(lines[:-3]), encoding="utf-8")
    refused = run("export", "--study", "toy.yaml", "--out", "out", "--retrain")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "is not what trial 0 was trained on" in refused.stderr


@pytest.mark.parametrize("worker", [{}, {"host": "another", "pid": 1}])
def test_what_another_machine_has_written_is_not_missed(tmp_path: Path, worker: dict[str, object]) -> None:
    url = store(tmp_path, [replace(complete(0, "lora", 0.9, 10, 1.0), worker=worker)])
    assert open_stored("toy", url).checkpoint_problems() == []


def test_a_trial_that_has_not_finished_cannot_be_trained_again(work: Path) -> None:
    refused = run("export", "--study", "toy.yaml", "--trial", "2", "--out", "out", "--retrain")
    assert refused.stderr == ("Error: --trial 2: it is waiting, and only complete trials can be trained again: 0, 1\n")


def test_status_as_json_stays_json(work: Path) -> None:
    shutil.rmtree(work / "runs" / "toy" / "weights")
    shown = run("status", "--study", "toy.yaml", "--json")
    assert json.loads(shown.stdout)["done"] == 2
    assert shown.stderr.startswith("the checkpoint of trial 0 is missing")
