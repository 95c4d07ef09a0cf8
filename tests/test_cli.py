"""The commands as a user meets them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import peftsearch
from peftsearch.cli import COMMANDS, main
from peftsearch.cli.shared.parsing import parse_duration, parse_size
from peftsearch.core.calls.precedence import RUNS_VARIABLE
from peftsearch.methods.table import METHODS
from peftsearch.storage.database import open_storage, open_study
from peftsearch.storage.optuna_access import storage_of, trial_id
from peftsearch.storage.records import Record
from peftsearch.storage.trial_attributes import assign_worker, write_heartbeat
from peftsearch.workers.job import Job
from peftsearch.workers.local import LocalEngine
from peftsearch.workers.outcome import Outcome
from tests.helpers.folders import fill_toy_folder
from tests.helpers.hub import Hub
from tests.helpers.records import OBJECTIVES, complete, config, report, store
from tests.helpers.tiny import tiny_model
from tests.helpers.toy import KEYS

STUDY = """\
name: toy
goal: Which animal or colour is it?
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 2, batch_size: 16}
search: {portfolio: false}
methods:
  probe: {learning_rate: 0.05}
  lora: {learning_rate: {log: [1.0e-3, 1.0e-1]}}
"""

RECORDS = [
    complete(0, "full", 0.90, 22_000_000, 40.0, learning_rate=2e-5),
    complete(1, "lora", 0.88, 300_000, 20.0),
    complete(2, "lora", 0.60, 400_000, 21.0),
    Record(3, "pruned", config("probe"), curve=(report(1, 0.3),), reason="trial 0 has 0.9"),
    Record(4, "failed", config("full"), failure={"kind": "error", "message": "ValueError: no", "traceback": "…"}),
]


def run(*arguments: str, **options: Any) -> Result:
    return CliRunner().invoke(main, list(arguments), **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a study file, its data and a tiny random model."""
    folder = tmp_path_factory.mktemp("work")
    fill_toy_folder(folder, STUDY)
    return folder


@pytest.fixture
def work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return folder


@pytest.fixture
def stored(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage with hand-made trials of the study."""
    monkeypatch.setenv("PEFTSEARCH_STORAGE", store(tmp_path, RECORDS, about={"budget": 6}))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name: str) -> None:
    shown = run(name, "--help")
    assert shown.exit_code == 0
    assert COMMANDS[name].help
    assert re.search(rf"Examples?:\n +peftsearch {name}", shown.output)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    for option in COMMANDS[name].params:
        if option.param_type_name == "option":
            assert option.help, option.name  # type: ignore[attr-defined]
    assert "None" not in run(name, "--help").stdout


def test_the_overview_names_each_command_whole() -> None:
    shown = run("--help", terminal_width=80)
    for name, command in COMMANDS.items():
        line = next(line for line in shown.output.splitlines() if line.startswith(f"  {name} "))
        assert not line.endswith("..."), command


def test_a_command_that_ends_does_not_look_for_circles_among_all_that_it_has_read() -> None:
    code = """
from peftsearch.cli import main

class Left:
    def __del__(self):
        print("looked at")

left = Left()
left.itself = left
del left
main(["--version"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("peftsearch, version ")
    assert "looked at" not in done.stdout


def test_front_prints_a_table(stored: None) -> None:
    shown = run("front", "--study", "toy.yaml")
    lines = shown.stdout.splitlines()
    assert lines[0] == "toy: 2 of 4 trials are on the Pareto front"
    assert [line.split()[:2] for line in lines[3:5]] == [["0", "full"], ["1", "lora"]]
    assert "\x1b" not in shown.output
    assert not any(line != line.rstrip() for line in lines)


def test_front_of_each_method(stored: None) -> None:
    shown = run("front", "--study", "toy.yaml", "--each-method")
    assert shown.stdout.splitlines()[0] == "toy: the best trial of each method by macro F1, out of 3 finished trials"
    found = json.loads(run("front", "--study", "toy.yaml", "--each-method", "--json").stdout)
    assert [(trial["trial"], trial["method"]) for trial in found] == [(0, "full"), (1, "lora")]


@pytest.fixture
def nearly(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trials, of which the second is faster by noise alone."""
    trials = [complete(0, "lora", 0.90, 1000, 10.5), complete(1, "lora", 0.88, 1000, 10.0)]
    monkeypatch.setenv("PEFTSEARCH_STORAGE", store(tmp_path, trials))


@pytest.mark.parametrize(
    ("tolerance", "front"),
    [((), [0]), (("--tolerance", "none"), [0, 1]), (("--tolerance", "macro_f1=0.03,train_seconds=0"), [1])],
)
def test_the_front_is_chosen_with_the_tolerance_that_an_option_names(
    nearly: None, tmp_path: Path, tolerance: tuple[str, ...], front: list[int]
) -> None:
    of_study = ("--study", "toy.yaml", *tolerance)
    shown = run("front", *of_study, "--json")
    assert [found["trial"] for found in json.loads(shown.stdout)] == front
    assert ("train time within 10 % + 0.1 s counts as equal; 1 trial is left off" in shown.stderr) == (not tolerance)
    assert run("front", *of_study).stdout.startswith(f"toy: {len(front)} of 2 trials")
    assert json.loads(run("trial", "best", *of_study, "--json").stdout)["trial"] == front[0]
    page = tmp_path / "report.html"
    assert run("report", *of_study, "--out", str(page)).exit_code == 0
    assert f"{len(front)} of 2 finished trials {'is' if len(front) == 1 else 'are'} on the" in page.read_text()


def test_what_to_do_next_names_the_tolerance_too(nearly: None) -> None:
    shown = run("recommend", "--study", "toy.yaml", "--tolerance", "macro_f1=0.03,train_seconds=0").stdout
    assert shown.splitlines()[-1].strip() == (
        "next: peftsearch confirm --study toy.yaml --tolerance macro_f1=0.03,train_seconds=0"
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("10%", "'10%' is neither OBJECTIVE=AMOUNT nor none; write train_seconds=10%"),
        ("macro_f1=0,005", "'005' is neither OBJECTIVE=AMOUNT nor none; write train_seconds=10%"),
        ("macro_f1=1,macro_f1=2", "macro_f1= is given twice; give one amount for an objective"),
        ("f1=0.01", "--tolerance f1: no objective 'f1'; did you mean 'macro_f1'?"),
        ("macro_f1=5", "--tolerance macro_f1: must be at least 0 and below 1, but got '5'"),
        (
            "macro_f1=1%",
            "--tolerance macro_f1: must be a number like 0.005, since a percentage is of a cost, but got '1%'",
        ),
        (
            "latency_ms=1",
            "--tolerance latency_ms: is no objective of this study, which has macro_f1, trainable_parameters, "
            "train_seconds",
        ),
    ],
)
def test_a_tolerance_that_cannot_be_meant(nearly: None, written: str, message: str) -> None:
    shown = run("front", "--study", "toy.yaml", "--tolerance", written)
    assert shown.exit_code == 2
    assert shown.stderr.rstrip().endswith(message)


def test_front_as_json_has_the_promised_keys(stored: None) -> None:
    found = json.loads(run("front", "--study", "toy.yaml", "--json").stdout)
    assert [row["trial"] for row in found] == [0, 1]
    for row in found:
        assert list(row) == [
            "trial",
            "epoch",
            "method",
            "backbone",
            "params",
            "objectives",
            "measurement",
            "state",
            "constraints",
            "confirmed",
        ]


def test_trials_as_json_tell_curves_reasons_and_failures(stored: None) -> None:
    found = json.loads(run("trials", "--study", "toy.yaml", "--json").stdout)
    assert [row["state"] for row in found] == ["complete", "complete", "complete", "pruned", "failed"]
    assert (found[3]["reason"], found[4]["failure"]["kind"]) == ("trial 0 has 0.9", "error")
    assert [epoch["macro_f1"] for epoch in found[3]["curve"]] == [0.3]


def test_trials_as_a_table(stored: None) -> None:
    shown = run("trials", "--study", "toy.yaml").stdout
    assert "error: ValueError: no" in shown
    assert "trial 0 has 0.9" in shown


def test_the_best_trial_in_full(stored: None) -> None:
    best = run("trial", "best", "--study", "toy.yaml")
    assert best.exit_code == 0
    assert best.stdout == run("trial", "0", "--study", "toy.yaml").stdout
    assert json.loads(run("trial", "best", "--study", "toy.yaml", "--json").stdout)["trial"] == 0
    wrong = run("trial", "bets", "--study", "toy.yaml")
    assert wrong.exit_code == 2
    assert wrong.stderr.endswith("'bets' is neither a trial, as 7, nor an epoch of one, as 7@3, nor 'best'\n")


def test_a_trial_in_full(stored: None) -> None:
    shown = run("trial", "0", "--study", "toy.yaml").stdout
    assert shown.startswith("trial 0: complete, full on tiny/bert\n  macro F1 0.9000\n")
    assert "best" in shown
    assert not any(line != line.rstrip() for line in shown.splitlines())
    found = json.loads(run("trial", "4", "--study", "toy.yaml", "--json").stdout)
    assert (found["trial"], found["failure"]["traceback"], found["weights"]) == (4, "…", None)
    missing = run("trial", "9", "--study", "toy.yaml")
    assert (missing.exit_code, missing.stderr) == (2, "Error: study 'toy' has no trial 9; its trials are 0 to 4\n")


@pytest.mark.parametrize("command", [["check"], ["optimize", "--trials", "1"]])
def test_an_objective_of_two_classes_is_refused_for_three_before_training(work: Path, command: list[str]) -> None:
    (work / "three.yaml").write_text(STUDY.replace("name: toy", "name: three\nobjectives: [f1_positive]"))
    shown = run(*command, "--study", "three.yaml")
    assert shown.exit_code == 2
    assert shown.stderr.splitlines()[-1] == (
        "Error: objective 'f1_positive' needs 2 classes, but the data has 3 (cat, dog, red); take macro_f1 instead"
    )
    assert not (work / "runs" / "three.db").exists()


def test_check_says_which_class_is_positive(work: Path) -> None:
    rows = [line for line in (work / "rows.jsonl").read_text().splitlines() if '"red"' not in line]
    (work / "two.jsonl").write_text("\n".join(rows))
    two = STUDY.replace("rows.jsonl", "two.jsonl").replace("name: toy", "name: two\nobjectives: [f1_positive]")
    (work / "two.yaml").write_text(two)
    assert "positive class: dog\n" in run("check", "--study", "two.yaml").stdout
    assert json.loads(run("check", "--study", "two.yaml", "--json").stdout)["positive_class"] == "dog"
    assert "positive class" not in run("check", "--study", "toy.yaml").stdout


def test_status_counts(stored: None) -> None:
    assert run("status", "--study", "toy.yaml").stdout.startswith("toy: 4 of 6 trials done")
    found = json.loads(run("status", "--study", "toy.yaml", "--json").stdout)
    assert found["states"] == {"complete": 3, "pruned": 1, "failed": 1}
    assert found["done"] == 4


def test_numbers_that_are_not_finite_are_null_in_json(work: Path, tmp_path: Path) -> None:
    bad = complete(0, "full", 0.9, 10, 1.0)
    worse = report(1, 0.5)
    object.__setattr__(worse, "validation_loss", float("nan"))
    object.__setattr__(bad, "curve", (worse,))
    found = run("trials", "--study", "toy.yaml", "--json", "--storage", store(tmp_path, [bad]))
    assert json.loads(found.stdout)[0]["curve"][0]["validation_loss"] is None


def test_plot_writes_a_figure_beside_the_table(stored: None, tmp_path: Path) -> None:
    shown = run("front", "--study", "toy.yaml", "--json", "--plot", str(tmp_path / "front.png"))
    assert json.loads(shown.stdout)
    assert (tmp_path / "front.png").stat().st_size > 10_000


def test_results_can_be_read_without_the_study_file(work: Path) -> None:
    store(work / "runs", RECORDS, name="gone")
    assert run("front", "--study", "gone").stdout.startswith("gone: 2 of 4 trials")


def test_a_study_in_a_named_storage_needs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = store(tmp_path / "elsewhere", RECORDS, name="theirs")
    (tmp_path / "laptop").mkdir()
    monkeypatch.chdir(tmp_path / "laptop")
    assert run("front", "--study", "theirs", "--storage", url).stdout.startswith("theirs: 2 of 4 trials")
    monkeypatch.setenv("PEFTSEARCH_STORAGE", url)
    assert run("front", "--study", "theirs").stdout.startswith("theirs: 2 of 4 trials")
    refused = run("front", "--study", "their")
    assert refused.exit_code == 2
    assert refused.stderr.endswith("with trials in the storage: theirs; did you mean 'theirs'?\n")


def test_no_such_study_is_one_line_and_code_2(work: Path) -> None:
    shown = run("front", "--study", "quikstart")
    assert shown.exit_code == 2
    message = (
        "no study named 'quikstart'; did you mean 'quickstart'? studies: agnews, emotion, kinopoisk, lenta, mrpc, "
    )
    assert shown.stderr.startswith(f"Error: {message}quickstart; with trials in {Path.cwd()}/runs: ")


def test_a_study_without_trials_says_how_to_start_it(work: Path) -> None:
    shown = run("trials", "--study", "toy.yaml", "--fork", "other")
    assert shown.exit_code == 2
    assert shown.stderr == (
        f"Error: study 'other' has no trials yet in {work}/runs (if it was searched from another folder, go there or "
        "set PEFTSEARCH_RUNS=THAT_FOLDER/runs); start it with: peftsearch optimize --study toy.yaml --fork other "
        "--trials 20\n"
    )


def test_a_name_is_looked_for_among_the_trials_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PEFTSEARCH_RUNS", "all")
    shown = run("front", "--study", "reviews").stderr
    assert shown.endswith(f"; with trials in {tmp_path}/all: none (set PEFTSEARCH_RUNS to look in another folder)\n")
    (tmp_path / "all").mkdir()
    for name in ("review", "other"):
        (tmp_path / "all" / f"{name}.db").touch()
    shown = run("front", "--study", "reviews").stderr
    assert shown.endswith(f"; with trials in {tmp_path}/all: other, review; did you mean 'review'?\n")


def test_problems_of_a_study_file_are_told_before_anything_runs(work: Path) -> None:
    (work / "bad.yaml").write_text(STUDY.replace("probe:", "prob:").replace("epochs: 2", "epochs: 0"))
    shown = run("optimize", "--study", "bad.yaml", "--trials", "2")
    assert shown.exit_code == 2
    assert "methods.prob: no method 'prob'; did you mean 'probe'?" in shown.stderr
    assert "training.epochs" in shown.stderr
    assert "Traceback" not in shown.output


def test_a_method_that_does_not_fit_the_backbone_stops_before_anything_is_trained(work: Path) -> None:
    (work / "deep.yaml").write_text(
        STUDY.replace("name: toy", "name: deep") + "  frozen: {frozen_layers: {int: [1, 9]}}\n"
    )
    shown = run("optimize", "--study", "deep.yaml", "--trials", "2")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr == "Error: method frozen cannot tune 'model': frozen_layers is 9, but it has 2 layers\n"
    assert not (work / "runs" / "deep.db").exists()


def test_a_fork_s_name_is_checked(work: Path) -> None:
    shown = run("optimize", "--study", "toy.yaml", "--trials", "2", "--fork", "../up")
    assert shown.exit_code == 2
    assert "'../up' names files, so it may have letters, digits, - and _ only" in shown.stderr


def test_check_says_what_would_be_searched(work: Path) -> None:
    shown = run("check", "--study", "toy.yaml")
    assert shown.exit_code == 0, shown.output
    for word in ("Which animal or colour is it?", "train 96", "learning_rate  1e-3 … 0.1 (log)", "fixed"):
        assert word in shown.stdout
    found = json.loads(run("check", "--study", "toy.yaml", "--json").stdout)
    assert found["methods"]["lora"]["learning_rate"] == "0.001 … 0.1 (log)"
    assert found["data"]["rows"] == {"train": 96, "validation": 48, "test": 48}
    assert found["data"]["tokens"]["model"]["max_length"] == 24


def test_check_says_which_baselines_break_a_constraint(work: Path) -> None:
    bounds = "{trainable_parameters: 100, latency_ms: 100}"
    (work / "small.yaml").write_text(f"{STUDY.replace('name: toy', 'name: small')}\nconstraints: {bounds}\n")
    shown = " ".join(run("check", "--study", "small.yaml").stdout.split())
    assert "constraints: trainable_parameters <= 100, latency_ms <= 100 on the front, train time" in shown
    assert "not trained: lora on model (" in shown
    assert ") breaks the constraint trainable_parameters <= 100: has " in shown
    assert "not trained: probe" not in shown
    found = json.loads(run("check", "--study", "small.yaml", "--json").stdout)
    assert found["constraints"] == {"trainable_parameters": 100, "latency_ms": 100}
    assert [line.split()[2] for line in found["not_trained"]] == ["lora"]


def test_check_says_what_the_data_is_like(work: Path) -> None:
    shown = run("check", "--study", "toy.yaml").stdout.splitlines()
    for line in (
        "rows: train 96, validation 48, test 48",
        "classes in validation: cat: 16 (33 %), dog: 16 (33 %), red: 16 (33 %)",
        "note: no text stands in two splits, not even with other case, punctuation or spaces",
    ):
        assert line in shown
    for start, end in (
        ("characters in train: 5th percentile ", r"longest \d+"),
        ("tokens in train, model: 5th percentile ", "; none longer than max_length 24"),
        ("a row of cat: ", ".+"),
        ("a row of red: ", ".+"),
    ):
        assert [line for line in shown if line.startswith(start) and re.search(end + "$", line)], start


def test_methods_and_studies(work: Path) -> None:
    assert "https://arxiv.org/abs/2106.09685" in run("methods").stdout
    assert {"full", "lora"} <= {row["name"] for row in json.loads(run("methods", "--json").stdout)}
    assert "quickstart" in {row["name"] for row in json.loads(run("studies", "--json").stdout)}
    assert run("studies").stdout.count(" quickstart.yaml") == 1, "not the folder of the package, which names do without"


def test_the_page_of_one_method(work: Path) -> None:
    for name, method in METHODS.items():
        page = run("methods", name).stdout
        assert page.startswith(f"{name}\n  {method.summary}\n  paper: ")
        assert f"when to use it: {method.when}" in " ".join(page.split())
        for hyperparameter in method.hyperparameters:
            assert re.search(rf"^  {hyperparameter} ", page, re.M), (name, hyperparameter)
        assert ("training section" in page) == method.takes_steps
    assert re.search(
        r"^  rank +4 \| 8 \| 16 \| 32 +1 … 4096 +rank of each product$", run("methods", "lora").stdout, re.M
    )
    assert json.loads(run("methods", "lora", "--json").stdout)["dimensions"]["dora"]["default"] == "False"
    prefix = run("methods", "prefix").stdout.splitlines()
    assert "  works on: bert, electra, roberta, xlm-roberta, distilbert, deberta-v2, albert" in prefix
    assert "  not on mpnet: neither PEFT nor AdapterHub has prefix tuning for mpnet" in prefix
    told = json.loads(run("methods", "bitfit", "--json").stdout)
    assert (told["when"], "bert" in told["works_on"]) == (METHODS["bitfit"].when, True)
    assert told["not_on"] == {"modernbert": "modernbert has no biases"}
    wrong = run("methods", "lorra")
    assert (wrong.exit_code, wrong.stderr.splitlines()[-1]) == (
        2, "Error: Invalid value for METHOD: no method is called 'lorra'; did you mean 'lora'?",
    )  # fmt: skip
    both = run("methods", "lora", "--backbone", "model")
    assert (both.exit_code, both.stderr.splitlines()[-1]) == (2, "Error: give either a method's name or --backbone")


def test_the_version_is_that_of_the_package() -> None:
    assert peftsearch.__version__ == version("peftsearch")
    assert run("--version").stdout == f"peftsearch, version {peftsearch.__version__}\n"


def test_the_overview_says_what_takes_precedence_and_names_every_variable() -> None:
    text = " ".join(run("--help").stdout.split())
    assert (
        "An option takes precedence over an environment variable, and both take precedence over the study file" in text
    )
    named = {option.envvar for command in COMMANDS.values() for option in command.params if option.envvar}
    assert named == {"PEFTSEARCH_STORAGE"}
    assert all(variable in text for variable in (*map(str, named), RUNS_VARIABLE))


def test_the_shell_completes_commands_as_the_overview_says() -> None:
    said = re.search(r'eval "\$\(_PEFTSEARCH_COMPLETE=(\w+) peftsearch\)"', run("--help").stdout)
    assert said is not None
    script = run(env={"_PEFTSEARCH_COMPLETE": said[1]}, prog_name="peftsearch", complete_var="_PEFTSEARCH_COMPLETE")
    assert "complete -o nosort -F _peftsearch_completion peftsearch" in script.stdout
    asked = {"_PEFTSEARCH_COMPLETE": "bash_complete", "COMP_WORDS": "peftsearch opt", "COMP_CWORD": "1"}
    assert run(env=asked, prog_name="peftsearch", complete_var="_PEFTSEARCH_COMPLETE").stdout == "plain,optimize\n"


def test_a_least_quality_is_any_number(stored: None) -> None:
    for written, wrong in (("0,9", "'0,9' is not a number; write decimals with a point"), ("-1e-2", None)):
        shown = run("recommend", "--study", "toy.yaml", "--min-quality", written)
        last = f"Error: Invalid value for '--min-quality': {wrong}"
        assert (shown.exit_code, shown.stderr.splitlines()[-1:]) == ((2, [last]) if wrong else (0, [])), shown.output


def test_the_shell_completes_names_of_studies_and_methods_and_loads_nothing_heavy(work: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    store(tmp_path / "kept", [complete(0, "lora", 0.9, 10, 1.0)])
    lines = [
        ("peftsearch front --study q", ["plain,quickstart"]),
        ("peftsearch confirm --study to", ["plain,toy"]),
        ("peftsearch front --study ./my", ["file,./my"]),
        ("peftsearch methods ad", ["plain,adalora"]),
    ]
    code = "import sys; from peftsearch.cli import main; main(prog_name='peftsearch', complete_var='ASKED')"
    for line, offered in lines:
        asked = {"ASKED": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
        asked |= {"PEFTSEARCH_RUNS": str(tmp_path / "kept"), "PYTHONPROFILEIMPORTTIME": "1"}
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True)
        assert done.stdout.splitlines() == offered, done.stderr[-500:]
        loaded = {row.rsplit("|", 1)[-1].strip() for row in done.stderr.splitlines() if row.startswith("import time")}
        assert "peftsearch.cli" in loaded
        assert loaded & {"torch", "transformers", "optuna", "sklearn", "datasets", "peft", "adapters", "numpy"} == set()


def test_a_pipe_gets_colours_where_they_are_asked_for_and_stays_wide(
    stored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "40")
    plain = run("trials", "--study", "toy.yaml").stdout
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run("trials", "--study", "toy.yaml", color=True).stdout
    assert "\x1b[32m" in coloured
    assert "\x1b" not in plain
    words = re.sub(r"\x1b\[[\d;]*m", "", coloured)
    assert [line.split() for line in words.splitlines() if line[:5].strip().isdigit()] == [
        line.split() for line in plain.splitlines() if line[:5].strip().isdigit()
    ]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in run("trials", "--study", "toy.yaml", color=True).stdout


def test_predict_wants_texts_from_one_place(work: Path) -> None:
    for arguments in ((), ("--text", "a", "--file", "b.txt")):
        shown = run("predict", "nowhere", *arguments)
        assert (shown.exit_code, shown.stderr) == (2, "Error: give the texts with either --text or --file\n")


def test_from_search_to_prediction(work: Path, hub: Hub) -> None:
    """A real worker trains two trials; everything that a user does with them afterwards."""
    searched = run("optimize", "--study", "toy.yaml", "--trials", "2")
    assert searched.exit_code == 0, searched.output
    assert re.search(r"^1/\d trial 0 complete: probe \(.*\), macro F1 0\.\d{4}, ", searched.stdout, re.M)
    assert "for reference: TF-IDF + logistic regression reaches macro F1" in searched.stdout

    again = run("optimize", "--study", "toy.yaml", "--trials", "2")
    assert again.stderr.endswith("2 of 2 trials are already done\n")
    assert "on the Pareto front" in again.stdout

    best = json.loads(run("front", "--study", "toy.yaml", "--json").stdout)[0]
    exported = run("export", "--study", "toy.yaml", "--trial", "best", "--out", "best", "--json")
    size = sum(path.stat().st_size for path in (work / "best").rglob("*") if path.is_file())
    told = {"trial": best["trial"], "epoch": best["epoch"], "method": best["method"], "out": "best", "bytes": size}
    assert json.loads(exported.stdout) == told

    again = run("export", "--study", "toy.yaml", "--out", "best")
    line = "Error: --out best: holds an earlier export; add --overwrite to replace it, or choose a new folder\n"
    assert (again.exit_code, again.stderr) == (2, line)
    replaced = run("export", "--study", "toy.yaml", "--out", "best", "--overwrite", "--push", "toy", "--private")
    assert replaced.stdout.splitlines()[-1] == f"it is on the hub too: {hub.endpoint}/ann/toy"
    first, second, third, _, *code = replaced.stdout.splitlines()[:-1]
    assert first.startswith(f"trial {best['trial']} ({best['method']}) is in best (0.")
    assert first.endswith(" MB), and best/README.md says what is known of it")
    assert (second, third) == ("to label texts:", "  peftsearch predict best --text '…'")
    exec(textwrap.dedent("\n".join(code)), {})  # it opens the folder
    assert set(hub.files["ann/toy"]) == {
        path.relative_to(work / "best").as_posix() for path in (work / "best").rglob("*") if path.is_file()
    }
    assert "front.png" in hub.files["ann/toy"]

    told = run("predict", "best", "--text", "the very good cat", "--text", "word1 dog", "--json")
    answers = json.loads(told.stdout)
    assert [answer["text"] for answer in answers] == ["the very good cat", "word1 dog"]
    assert all(set(answer["probabilities"]) == set(KEYS) for answer in answers)

    (work / "texts.txt").write_text("the very good cat\nword1 dog\n\n")
    (work / "texts.csv").write_text('text,more\n"the very good cat",1\n"word1 dog",2\n')
    for file in ("texts.txt", "texts.csv"):
        assert json.loads(run("predict", "best", "--file", file, "--json").stdout) == answers
    shown = run("predict", "best", "--text", "the very good cat").stdout
    assert shown.splitlines()[0].split() == ["label", "probability", "text"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--private",), "--private belongs to --push REPO"),
        (("--push", "my model"), "--push 'my model': is no name of a repository on the hub; write OWNER/NAME with "
                                 "letters, digits, single - and ., and _"),
    ],
)  # fmt: skip
def test_a_push_that_cannot_be_is_refused_before_the_export(
    work: Path, hub: Hub, arguments: tuple[str, ...], message: str
) -> None:
    shown = run("export", "--study", "toy.yaml", "--out", "out", *arguments)
    assert (shown.exit_code, shown.stderr) == (2, f"Error: {message}\n")
    assert not (work / "out").exists()


WRONG_DATA = [
    ("a.csv,train=b.csv", "train= is given twice; name one file for a split and one name for a column"),
    ("train=", "'train=' is not KEY=NAME with one of the keys train, validation, test, text, pair, label"),
    ("trian=a.csv", "'trian=a.csv' is not KEY=NAME with one of the keys train, validation, test, text, pair, label"),
    ("test=a.csv,label=y", "names no file for train; write train=FILE"),
    ("train=a.csv,train=b.csv", "train= is given twice; name one file for a split and one name for a column"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), WRONG_DATA, ids=[given for given, _ in WRONG_DATA])
def test_data_that_cannot_be_meant(work: Path, given: str, message: str) -> None:
    shown = run("check", "--study", "toy.yaml", "--data", given)
    assert shown.exit_code == 2
    assert shown.output.splitlines()[-1] == f"Error: Invalid value for '--data': {message}"


@pytest.mark.parametrize(
    ("written", "size"), [("1000", 1000), ("4K", 4096), ("1.5m", 1_572_864), ("2G", 2 * 1024**3), (None, None)]
)
def test_sizes(written: str | None, size: int | None) -> None:
    assert parse_size(None, None, written) == size  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90", 90.0),
        ("90s", 90.0),
        ("30m", 1800.0),
        ("1h30m", 5400.0),
        ("1.5H", 5400.0),
        ("2d", 172_800.0),
        (None, None),
    ],
)
def test_times(written: str | None, seconds: float | None) -> None:
    assert parse_duration(None, None, written) == seconds  # type: ignore[arg-type]


def test_how_to_train_reaches_the_search(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[dict[str, object]] = []

    def run_workers(_: object, job: Job, engine: object, **options: object) -> Outcome:
        given.append({**vars(job), "engine": engine})
        return Outcome("done")

    monkeypatch.setattr("peftsearch.optimize.run.run_workers", run_workers)
    optimize = ("optimize", "--study", "toy.yaml", "--trials", "1", "--fork", "x")
    how = ("--exact", "--cache-size", "2G", "--workers-per-device", "3", "--trial-timeout", "9.5")
    assert run(*optimize, *how).exit_code == 0
    names = ("exact", "cache_size", "engine", "trial_timeout")
    assert [given[0][name] for name in names] == [True, 2 * 1024**3, LocalEngine(3), 9.5]
    shown = run("optimize", "--study", "toy.yaml", "--trials", "1", "--cache-size", "much")
    assert shown.exit_code == 2
    assert shown.output.splitlines()[-1] == (
        "Error: Invalid value for '--cache-size': 'much' is not a size; "
        "write bytes, or a number with K, M, G or T, as in 2G"
    )


@pytest.mark.parametrize(
    ("outcome", "code", "said"),
    [
        (Outcome("done"), 0, []),
        (
            Outcome("timeout"), 0,
            ["the time limit of 0 s has ended the search: 0 of 1 trials are done; the same command continues"],
        ),
        *(
            (Outcome("interrupted", by), code, [f"stopped by {by}: 0 of 1 trials are done; the same command continues"])
            for by, code in (("Ctrl-C", 130), ("SIGTERM", 143), ("SIGHUP", 129))
        ),
        (
            Outcome("flat", "the last 16 added 0.2 %"), 0,
            ["the search is flat: the last 16 added 0.2 %; 0 of 1 trials are done; to go on, name a larger total with "
             "--trials, and leave out --until-flat"],
        ),
        (Outcome("exhausted", "nothing new"), 0, ["stopped early: nothing new; 0 of 1 trials are done"]),
        (
            Outcome("errors", "3 alike: [b] no", "Traceback:\n  in f\nValueError: [b] no\n"),
            1,
            ["Traceback:", "  in f", "ValueError: [b] no",
             "Error: the search gave up: 3 alike: [b] no; 0 of 1 trials are done; the same command continues"],
        ),
        (
            Outcome("deaths", "3 died"),
            1,
            ["Error: the search gave up: 3 died; 0 of 1 trials are done; the same command continues"],
        ),
    ],
    ids=lambda value: value.how + value.message[:7] if isinstance(value, Outcome) else "",
)  # fmt: skip
def test_how_a_search_ended_is_said_and_told_by_the_exit_code(
    work: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int, said: list[str]
) -> None:
    monkeypatch.setattr("peftsearch.optimize.run.run_workers", lambda *_, **__: outcome)
    shown = run("optimize", "--study", "toy.yaml", "--trials", "1", "--fork", "ended")
    assert shown.exit_code == code
    assert shown.stderr.splitlines()[-len(said) :] == said if said else "stopped" not in shown.stderr


def test_status_shows_how_long_a_trial_runs_and_that_nobody_trains_it(work: Path, tmp_path: Path) -> None:
    url = store(tmp_path, RECORDS)
    study = open_study(open_storage(url), "toy", OBJECTIVES)
    trial = study.ask()
    assign_worker(trial, {"pid": 1, "host": "elsewhere", "started": 0.0})
    write_heartbeat(storage_of(study), trial_id(study, trial.number), time.time() - 130)
    shown = run("status", "--study", "toy.yaml", "--storage", url).stdout.splitlines()
    assert "age" in shown[-2]
    assert shown[-2].endswith("last sign of life")
    assert re.search(r"starting +\d+ s +stale: 2 min \d+ s ago$", shown[-1])


WRONG_LIMITS = [
    ("1000", "'1000' is not KEY=ROWS with one of the keys train, validation, test; write train=1000"),
    ("train=0", "train= takes a number of rows, at least 1, but got '0'"),
    ("train=5,train=6", "train= is given twice; give one number for a split"),
]


@pytest.mark.parametrize(("given", "message"), WRONG_LIMITS, ids=[given for given, _ in WRONG_LIMITS])
def test_limits_that_cannot_be_meant(work: Path, given: str, message: str) -> None:
    shown = run("check", "--study", "toy.yaml", "--limit", given)
    assert shown.exit_code == 2
    assert shown.output.splitlines()[-1] == f"Error: Invalid value for '--limit': {message}"


def test_a_part_of_the_rows_is_enough_to_try(work: Path) -> None:
    shown = run("check", "--study", "toy.yaml", "--json", "--limit", "train=9,validation=6", "--limit", "test=3")
    assert shown.exit_code == 0, shown.output
    assert json.loads(shown.stdout)["data"]["rows"] == {"train": 9, "validation": 6, "test": 3}


def test_the_same_study_on_other_files_and_another_backbone(work: Path, tmp_path: Path) -> None:
    other = tiny_model(tmp_path / "other", "roberta")
    names = ["a,b.jsonl", "c.jsonl"]
    for name, count in zip(names, (40, 12), strict=True):
        rows = [json.dumps({"body": f"{KEYS[i % 3]} {name} {i}", "topic": KEYS[i % 3]}) for i in range(count)]
        (work / name).write_text("\n".join(rows))
    data = ["--data", "train=a,b.jsonl,test=c.jsonl", "--data", "text=body,label=topic"]
    shown = run("check", "--study", "toy.yaml", "--json", *data, "--backbone", str(other))
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert found["backbones"] == [str(other)]
    assert found["data"]["rows"] == {"train": 30, "validation": 10, "test": 12}
    plain = json.loads(run("check", "--study", "toy.yaml", "--json").stdout)
    assert {key: found[key] for key in ("methods", "objectives")} == {k: plain[k] for k in ("methods", "objectives")}


@pytest.mark.parametrize(
    "name", [name for name, command in COMMANDS.items() if any(p.name == "study" for p in command.params)]
)
def test_every_command_on_a_study_takes_other_data_and_backbones(name: str) -> None:
    assert {"data", "limit", "backbone"} <= {parameter.name for parameter in COMMANDS[name].params}


def test_params_of_every_baseline(work: Path) -> None:
    found = json.loads(run("params", "--study", "quickstart", "--classes", "10", "--json").stdout)
    # The portfolio's configurations come after each method's default one.
    counts = {row["config"]["method"]: row["trainable_parameters"] for row in reversed(found)}
    assert set(counts["lora"]) == {77_578}
    assert set(counts["probe"]) == {3_850}
    assert "22,569,226" in run("params", "--study", "quickstart").stdout


def test_params_names_a_method_whose_parameters_depend_on_the_texts(work: Path) -> None:
    (work / "words.yaml").write_text((work / "toy.yaml").read_text().replace("methods:\n", "methods:\n  tfidf: {}\n"))
    found = json.loads(run("params", "--study", "words.yaml", "--classes", "3", "--json").stdout)
    assert {row["config"]["method"]: row["trainable_parameters"] for row in found}["tfidf"] == []
    lines = run("params", "--study", "words.yaml", "--classes", "3").stdout.splitlines()
    assert [line.endswith("  depends on the texts") for line in lines if line.startswith("tfidf ")] == [True]
