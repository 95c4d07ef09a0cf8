"""Command lines that newcomers write: what each is told, over all commands and many drawn names."""

from __future__ import annotations

import random
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from peftsearch.cli import COMMANDS, main
from peftsearch.cli.shared.mistakes import OTHER_COMMANDS, OTHER_OPTIONS, options_of
from peftsearch.data.read.files import FORMATS
from peftsearch.study.mistakes.keys import OTHER_NAMES

WITH_STUDY = [name for name, command in COMMANDS.items() if "--study" in options_of(command)]
FIRST = {"trial": ["best"]}
"""The argument that a command needs before anything else."""

LETTERS = "abcdefghijklmnopqrstuvwxyzABCXYZ0123456789_-äöя .'"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return tmp_path


def told(*arguments: str) -> str:
    """The last line that a command line is refused with."""
    done = CliRunner().invoke(main, list(arguments), prog_name="peftsearch")
    assert done.exit_code == 2, (arguments, done.output, done.exception)
    assert done.stdout == ""
    return done.stderr.splitlines()[-1].removeprefix("Error: ")


def drawn(seed: int, ending: str) -> str:
    chance = random.Random(seed)
    return "x" + "".join(chance.choice(LETTERS) for _ in range(chance.randrange(12))) + ending


@pytest.mark.parametrize("command", WITH_STUDY)
def test_a_study_file_without_its_option(command: str) -> None:
    for seed in range(8):
        file = drawn(seed, ".yaml")
        line = told(command, *FIRST.get(command, []), file)
        assert line == f"name the study with --study: peftsearch {command} --study {shlex.quote(file)}"
        assert told(command, *FIRST.get(command, []), file, "--limit=train=5") == line


@pytest.mark.parametrize("command", WITH_STUDY)
def test_a_file_of_texts_without_its_option(command: str) -> None:
    for seed, ending in enumerate([*FORMATS, ".csv.gz", ".CSV"]):
        file = drawn(seed, ending)
        named = shlex.quote(file)
        line = f"{named} holds texts; make a study of it first: peftsearch init {named}"
        if command == "optimize":
            line = f"name the file of texts with --data: peftsearch optimize --data {named}"
        assert told(command, *FIRST.get(command, []), file) == line


@pytest.mark.parametrize("command", sorted(set(WITH_STUDY) - {"optimize"}))
def test_no_study_at_all(command: str) -> None:
    needed = ["--out", "x.html"] if command == "report" else []
    assert told(command, *FIRST.get(command, []), *needed) == (
        "name the study with --study NAME, or the path of its file; peftsearch studies lists those that are here"
    )


@pytest.mark.parametrize("command", [*WITH_STUDY, "studies"])
def test_a_value_with_spaces_that_was_not_quoted(command: str) -> None:
    study = [] if command == "studies" else ["--study", "my"]
    arguments = ["--out", "x.html"] if command == "report" else FIRST.get(command, [])
    if command == "trial":
        assert told("trial", "best", "reviews", *study) == "peftsearch trial takes one number; leave out 'reviews'"
    assert told(command, *arguments, *study, "reviews") == (
        f"'reviews' belongs to no option of peftsearch {command}; put a value with spaces in quotation marks"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train o.yaml", "name the configuration with --config: peftsearch train --config o.yaml --out DIR"),
        ("train --out d o.yaml", "name the configuration with --config: peftsearch train --config o.yaml --out DIR"),
        ("train", "name the configuration with --config FILE; peftsearch export --config FILE writes one"),
        ("train --config o.yaml", "Missing option '--out'."),
        ("train --config", "Option '--config' requires an argument."),
        ("front --study", "Option '--study' requires an argument."),
        ("trial rev.yaml", "name a trial, and the study with --study: peftsearch trial best --study rev.yaml"),
        ("trial --json rev", "name a trial, and the study with --study: peftsearch trial best --study rev"),
        ("trial rev --study x", "Invalid value for 'N|N@EPOCH|best': 'rev' is neither a trial, as 7, nor an epoch of "
         "one, as 7@3, nor 'best'"),
        ("methods lora full", "peftsearch methods takes one name; leave out 'full'"),
        ("init a.csv b.csv", "peftsearch init takes one file; leave out 'b.csv'"),
        ("predict m new.csv", "name the file with --file: peftsearch predict m --file new.csv"),
        ("predict m nice text", "name the text with --text: peftsearch predict m --text 'nice text'"),
        ("predict m --text nice text",
         "'text' belongs to no option of peftsearch predict; put a value with spaces in quotation marks"),
        ("predict new.csv", "write the classifier's folder first: peftsearch predict DIR --file new.csv"),
        ("optimize --data a.csv,b.csv --trials 2",
         "Invalid value for '--data': 'a.csv,b.csv' names 2 files for train, which takes one; put their rows into one "
         "file, or say what each is: train=a.csv,test=b.csv"),
    ],
)  # fmt: skip
def test_an_argument_without_its_option(arguments: str, message: str) -> None:
    assert told(*arguments.split()) == message


def test_a_comma_in_the_name_of_a_file_that_is_there(here: Path) -> None:
    (here / "a.csv,b.csv").write_text("text,label\n")
    assert "names 2 files" not in told("optimize", "--data", "a.csv,b.csv", "--trials", "2")


def bounds_of(kind: click.IntRange | click.FloatRange) -> str:
    if kind.min is None:
        return ""
    if kind.max is not None:
        return f" from {kind.min} to {kind.max}"
    return f" {'above' if kind.min_open else 'of at least'} {kind.min}"


def test_a_number_that_is_none_or_out_of_bounds_is_told_of_every_option() -> None:
    tried = 0
    for name, command in COMMANDS.items():
        for option in command.params:
            if not isinstance(option.type, click.IntRange | click.FloatRange):
                assert option.type not in (click.INT, click.FLOAT), (name, option.name)
                continue
            whole = isinstance(option.type, click.IntRange)
            first = ["m"] if name == "predict" else FIRST.get(name, [])
            below = ["-1"] if option.type.min is not None else []
            for wrong in ("three", "1,5", "1e400x", *below, *(["2.5"] if whole else [])):
                kind, more = ("whole number", "") if whole else ("number", "; write decimals with a point")
                assert told(name, *first, option.opts[0], wrong).endswith(
                    f": '{wrong}' is not a {kind}{bounds_of(option.type)}{more}"
                ), (name, option.opts, wrong)
                tried += 1
    assert tried > 60


def test_commands_by_the_names_of_other_programs() -> None:
    for wrong, right in OTHER_COMMANDS.items():
        assert wrong not in COMMANDS
        assert right in {*COMMANDS, "--version", "--help"}
        assert (
            told(wrong)
            == told(wrong.upper()).replace(repr(wrong.upper()), repr(wrong))
            == (f"no command {wrong!r}; write: peftsearch {right}")
        )
    assert told("help", "front") == "write the command first: peftsearch front --help"
    assert told("reviews.yaml") == (
        "'reviews.yaml' is no command; write one first, as in: peftsearch optimize --study reviews.yaml"
    )
    assert told("xyzzy") == f"no command 'xyzzy'; the commands are {', '.join(COMMANDS)}"


def test_a_mistyped_command_is_found() -> None:
    for name in COMMANDS:
        for wrong in {name[:-1], name + "x", name.capitalize() + "z"} - {*COMMANDS, *OTHER_COMMANDS}:
            line = told(wrong)
            assert line.startswith(f"no command {wrong!r}; did you mean ")
            assert name in line or name in {"trial", "trials", "studies"}


def test_options_by_the_names_of_other_programs() -> None:
    tried = 0
    for name, command in COMMANDS.items():
        for wrong, right in OTHER_OPTIONS.items():
            if right in options_of(command) and wrong not in options_of(command):
                assert told(name, wrong, "x") == f"no option {wrong} in peftsearch {name}; write {right}"
                tried += 1
    assert tried > 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("optimize --study x --epochs 3", "no option --epochs in peftsearch optimize; in the study file, write "
         "training: {epochs: …}"),
        ("optimize --study x --lr 1e-3", "no option --lr in peftsearch optimize; in the study file, write "
         "methods: {lora: {learning_rate: …}}, for each method its own"),
        ("optimize --study x --max-length 64", "no option --max-length in peftsearch optimize; in the study file, "
         "write data: {max_length: …} or backbones: [{name: …, max_length: …}]"),
        ("front --study x --trials 3", "no option --trials in peftsearch front; it is one of peftsearch optimize "
         "and peftsearch worker"),
        ("confirm --study x --pruner none", "no option --pruner in peftsearch confirm; it is one of peftsearch "
         "optimize and peftsearch worker"),
        ("trial -1 --study x", "-1 is less than 0, which nothing here takes"),
        ("optimize --study x --trial 3",
         "No such option '--trial'. (Did you mean one of: '--trial-timeout', '--trials', '--whole-trials'?)"),
    ],
)  # fmt: skip
def test_options_that_belong_elsewhere(arguments: str, message: str) -> None:
    assert told(*arguments.split()) == message


def test_every_key_of_a_training_section_is_told_as_one_of_the_study_file() -> None:
    for key in ("epochs", "batch_size", "precision", "class_weights", *OTHER_NAMES):
        option = f"--{key.replace('_', '-')}"
        if any(option in options_of(command) or option in OTHER_OPTIONS for command in COMMANDS.values()):
            continue
        line = told("optimize", "--study", "x", option, "3")
        assert line.startswith(f"no option {option} in peftsearch optimize; "), line
