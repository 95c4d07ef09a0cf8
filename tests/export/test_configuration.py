"""A trial's configuration as a file: what it holds, that reading it gives the same trial, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from peftsearch.cli import main
from peftsearch.core.config import EarlyStopping, TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.export.configuration import export_config, export_front_configs
from peftsearch.methods.table import METHODS
from peftsearch.results.stored_study import StoredStudy, open_stored
from peftsearch.storage.records import Record
from peftsearch.study.single import only_config
from peftsearch.study.spec import load_study
from tests.helpers.records import complete, measurement, report, store
from tests.helpers.tuning import settings_of

TRAINING = TrainingConfig(epochs=7, batch_size=8, schedule="cosine", focal_gamma=1.5, early_stopping=EarlyStopping(2))
DATA = {"source": "rows.csv", "text": ["{title} {body}", "answer"], "label": "topic", "drop_labels": ["no"]}
ABOUT = {"goal": "Which?", "data": DATA, "budget": 9}


def trial(number: int, method: str, **changes: object) -> Record:
    config = TrialConfig("models/tiny", method, settings_of(method), TRAINING, max_length=48)
    return replace(complete(number, method, 0.9 - number / 100, 10 + number, 1.0), config=replace(config, **changes))


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").touch()
    return tmp_path


def stored(work: Path, *records: Record, **about: object) -> StoredStudy:
    return open_stored("toy", store(work, records, about={**ABOUT, **about}))


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_reading_the_file_gives_the_same_trial(work: Path, suffix: str) -> None:
    """Of every method, with settings, training and tokenizer away from their defaults."""
    pinned = {"revision": "a" * 40, "trust_remote_code": True, "tokenizer": "other", "tokenizer_revision": "v1"}
    results = stored(work, *(trial(n, method, **(pinned if n else {})) for n, method in enumerate(METHODS)))
    for record in results.records():
        spec = load_study(export_config(results, record.number, work / f"{record.number}{suffix}"))
        found = only_config(spec)
        assert record.config is not None
        active = spec.document["methods"][found.method]
        assert {name: found.settings[name] for name in active} == {
            name: record.config.settings[name] for name in active
        }
        assert replace(found, settings=record.config.settings) == record.config
        assert (spec.data.text, spec.data.label, spec.data.drop_labels) == (DATA["text"], "topic", ["no"])


def test_the_file_is_small_and_says_where_it_comes_from(work: Path) -> None:
    text = export_config(stored(work, trial(0, "lora")), "best", "best.yaml").read_text(encoding="utf-8")
    assert text.startswith(
        "# Trial 0 of the study toy: complete, macro F1 0.9000.\n"
        "# To train it without a search: peftsearch train --config best.yaml --out DIR\n"
    )
    document = yaml.safe_load(text)
    assert document["data"] == {**DATA, "max_length": 48}
    assert document["origin"] == {
        "study": "toy", "trial": 0, "state": "complete", "metric": "macro_f1", "score": 0.9, "best_epoch": 2,
        "epochs": 3, "fingerprint": "abc",
    }  # fmt: skip
    assert len(text.splitlines()) < 70


def test_settings_that_change_nothing_are_left_out(work: Path) -> None:
    file = export_config(stored(work, trial(0, "full", settings=settings_of("full", head="native"))), 0, "full.json")
    assert "pooling" not in json.loads(file.read_text())["methods"]["full"]


def test_a_pruned_trial_has_one_too_but_no_best_epoch(work: Path) -> None:
    pruned = Record(0, "pruned", trial(0, "probe").config, curve=(report(1, 0.3), report(2, 0.2)), reason="dominated")
    file = export_config(stored(work, pruned), 0, "pruned.yaml")
    assert yaml.safe_load(file.read_text())["origin"] == {
        "study": "toy", "trial": 0, "state": "pruned", "metric": "macro_f1", "score": 0.3,
    }  # fmt: skip


def test_an_exact_trial_is_trained_exactly_again_and_one_that_was_cut_to_the_same_end(work: Path) -> None:
    exact = replace(trial(0, "probe"), measurement=measurement(exact=True, out_of_time=True))
    spec = load_study(export_config(stored(work, exact), 0, "exact.yaml"))
    assert spec.origin is not None
    assert spec.origin.exact
    assert spec.origin.out_of_time


@pytest.mark.parametrize(
    ("file", "source"),
    [("configs/best.yaml", "../rows.csv"), ("best.yaml", "rows.csv"), ("../elsewhere/best.yaml", "{work}/rows.csv")],
)
def test_a_path_is_relative_within_the_working_directory(work: Path, file: str, source: str) -> None:
    written = export_config(stored(work, trial(0, "probe")), 0, file)
    assert yaml.safe_load(written.read_text())["data"]["source"] == source.format(work=work)


@pytest.mark.parametrize(
    "source",
    [
        "hub:ag_news",
        "package:peftsearch/resources",
        "https://host/rows.csv?sig=***",
        {"train": "hub:a", "test": "hub:b"},
    ],
)
def test_other_sources_stay_as_they_are(work: Path, source: object) -> None:
    written = export_config(stored(work, trial(0, "probe"), data={**DATA, "source": source}), 0, "configs/best.yaml")
    assert yaml.safe_load(written.read_text())["data"]["source"] == source


def test_the_whole_front(work: Path) -> None:
    results = stored(work, trial(0, "full"), trial(1, "lora"), replace(trial(2, "probe"), values={
        "macro_f1": 0.5, "trainable_parameters": 1.0, "train_seconds": 0.5}))  # fmt: skip
    files = export_front_configs(results, "configs")
    assert [file.name for file in files] == ["trial-0-full.yaml", "trial-2-probe.yaml"]
    assert [only_config(load_study(file)).method for file in files] == ["full", "probe"]
    with pytest.raises(UserError, match=r"^--configs configs/trial-0-full.yaml: is there already; choose"):
        export_front_configs(results, "configs")
    export_front_configs(results, "configs", overwrite=True)


def test_what_is_refused(work: Path) -> None:
    results = stored(work, trial(0, "lora"), Record(1, "waiting"))
    (work / "there.yaml").touch()
    for number, file, message in (
        (0, "best.toml", "--config best.toml: ends in none of .yaml, .yml, .json; give the file such a name"),
        (0, "there.yaml", "--config there.yaml: is there already; choose a new name, or add --overwrite"),
        (1, "new.yaml", "--trial 1: it is running, and has no configuration yet"),
        (7, "new.yaml", "study 'toy' has no trial 7; its trials are 0 to 1"),
    ):
        with pytest.raises(UserError) as refused:
            export_config(results, number, file)
        assert str(refused.value) == message
    assert not (work / "new.yaml").exists()
    assert (work / "there.yaml").read_text() == ""


BROKEN = {
    "lora: {rank: 0}": "toy.yaml: methods.lora.rank: must be a whole number within 1 … 4096, but got 0",
    "lora: {ranks: 4}": "toy.yaml: methods.lora.ranks: lora has no dimension 'ranks'; did you mean 'rank'?",
    "lorra: {}": "toy.yaml: methods.lorra: no method 'lorra'; did you mean 'lora'?",
    "lora: {}": "toy.yaml: methods.lora.learning_rate: is open (0.0001 … 0.01 (log)); write one value, or search: "
    "peftsearch optimize --study toy.yaml",
    "lora: {}\n  full: {}": "toy.yaml: methods: names 2 (lora, full); keep one, or search: "
    "peftsearch optimize --study toy.yaml",
}


@pytest.mark.parametrize("methods", BROKEN)
def test_what_is_wrong_with_a_file_is_one_line(work: Path, methods: str) -> None:
    (work / "toy.yaml").write_text(f"name: toy\ndata: {{source: rows.csv}}\nbackbones: [tiny]\nmethods:\n  {methods}\n")
    with pytest.raises(UserError) as refused:
        only_config(load_study("toy.yaml"))
    assert str(refused.value) == BROKEN[methods]


def test_an_origin_is_checked_too(work: Path) -> None:
    file = export_config(stored(work, trial(0, "probe")), 0, "toy.yaml")
    text = file.read_text()
    for before, after, message in (
        ("best_epoch: 2", "best_epoch: 0", "origin.best_epoch: must be a whole number within 1 … 10000, but got 0"),
        ("best_epoch", "best_epochs", "origin.best_epochs: unknown key 'best_epochs'; did you mean 'best_epoch'?"),
        (
            "study: toy",
            "study: ../x",
            "origin.study: may have letters, digits, - and _ only (it names files), but got '../x'",
        ),
    ):
        file.write_text(text.replace(before, after))
        with pytest.raises(UserError) as refused:
            load_study(file)
        assert str(refused.value) == f"toy.yaml: {message}"


def test_the_command_writes_what_is_named(work: Path) -> None:
    stored(work, trial(0, "lora"), trial(1, "probe", backbone="other"))
    at = ("export", "--study", "toy", "--storage", f"sqlite:///{work}/toy.db")
    (work / "runs").mkdir()
    (work / "runs" / "toy.db").touch()  # the study's file is gone, and its trials are found by its name
    done = CliRunner().invoke(main, [*at, "--trial", "1", "--config", "one.json", "--front", "--configs", "all"])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "the front's configurations (1) are in all; to train one:",
        "  peftsearch train --config all/trial-0-lora.yaml --out DIR",
        "the configuration is in one.json; to train it:",
        "  peftsearch train --config one.json --out DIR",
    ]
    assert json.loads((work / "one.json").read_text())["backbones"] == ["other"]
    again = CliRunner().invoke(main, [*at, "--config", "one.json", "--overwrite", "--json"])
    assert json.loads(again.stdout) == {"config": "one.json"}
    together = "--front and --configs DIR belong together: they write the configurations of the whole front"
    for more, message in (
        ([], "name what to write: --out DIR, --config FILE, --script FILE, or --front --configs DIR"),
        (["--front"], together),
        (["--configs", "x"], together),
    ):
        refused = CliRunner().invoke(main, [*at, *more])
        assert (refused.exit_code, refused.stderr) == (2, f"Error: {message}\n")
