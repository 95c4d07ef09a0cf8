"""`-v`, `-q` and `--no-color`: before a command's name and after it, on every command."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peftsearch.cli import COMMANDS, main
from peftsearch.cli.shared.output import say
from peftsearch.cli.shared.volume import LOUD
from tests.helpers.records import complete, store


@pytest.fixture(autouse=True)
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two trials of a study without a file, and a table of texts."""
    monkeypatch.chdir(tmp_path)
    for name in ("PEFTSEARCH_STORAGE", "NO_COLOR", "FORCE_COLOR", *LOUD):
        monkeypatch.delenv(name, raising=False)
    store(tmp_path / "runs", [complete(0, "lora", 0.9, 100, 1.0), complete(1, "probe", 0.8, 10, 1.0)])
    rows = "".join(f"{text} {n},{text}\n" for n in range(30) for text in ("good", "bad"))
    (tmp_path / "reviews.csv").write_text(f"body,stars\n{rows}")


def run(*arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(main, arguments, color=color)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_takes_them(name: str) -> None:
    shown = " ".join(run(name, "--help").stdout.split())
    for option in ("-v, --verbose Also print", "-q, --quiet Print only results and errors", "--no-color Print without"):
        assert option in shown


@pytest.mark.parametrize("arguments", [("-q", "front", "--study", "toy"), ("front", "--study", "toy", "--quiet")])
def test_quiet_leaves_results(arguments: tuple[str, ...]) -> None:
    plot = ("--plot", "front.html")
    usual, quiet = run("front", "--study", "toy", *plot), run(*arguments, *plot)
    assert (usual.stderr, quiet.stderr) == ("drawn to front.html\n", "")
    assert quiet.stdout == usual.stdout
    assert "2 of 2 trials are on the Pareto front" in quiet.stdout


def test_quiet_leaves_errors() -> None:
    shown = run("-q", "trial", "7", "--study", "toy")
    assert (shown.exit_code, shown.stdout) == (2, "")
    assert shown.stderr.startswith("Error: study 'toy' has no trial 7")


def test_of_a_new_study_where_it_is() -> None:
    usual = run("init", "reviews.csv", "--out", "a.yaml")
    quiet = run("init", "reviews.csv", "--out", "a.yaml", "--overwrite", "-q")
    *found, written, command = usual.stdout.splitlines()
    assert found
    assert quiet.stdout == f"{written}\n{command}\n"
    assert written == "written to a.yaml; search it with:"
    assert quiet.stderr == ""


@pytest.mark.parametrize("arguments", [("-v", "front", "--study", "toy"), ("front", "-v", "--study", "toy")])
def test_verbose_says_with_what_and_where(arguments: tuple[str, ...]) -> None:
    first, second = run(*arguments).stderr.splitlines()
    assert first.startswith("debug: peftsearch ")
    assert "optuna 5" in first
    assert second == "debug: the trials are in sqlite:///runs/toy.db, and their files in runs/toy"
    assert "debug" not in run("front", "--study", "toy").output


def test_verbose_says_where_the_logs_are() -> None:
    shown = run("confirm", "--study", "toy", "-v")
    assert (
        "debug: each worker writes what it and the libraries say to runs/toy/worker-0.log and so on\n" in shown.stderr
    )


def test_verbose_shows_where_an_error_came_from() -> None:
    usual, verbose = run("trial", "7", "--study", "toy"), run("-v", "trial", "7", "--study", "toy")
    assert (usual.exit_code, verbose.exit_code) == (2, 2)
    assert verbose.stderr.splitlines()[-1] == usual.stderr.strip()
    assert "Traceback (most recent call last):" in verbose.stderr
    assert "Traceback" not in usual.stderr


def test_verbose_lets_libraries_speak_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    level, handlers, seen = logging.root.level, list(logging.root.handlers), {}

    def speak() -> list[object]:
        logging.getLogger("a.library").info("reading \x1b[31mfile")
        seen.update({name: os.environ.get(name) for name in LOUD})
        say("a note")
        return []

    monkeypatch.setattr("peftsearch.results.kept.kept_studies", lambda _: [])
    monkeypatch.setattr("peftsearch.api.list_studies", speak)
    verbose = run("-v", "studies", "--json")
    assert json.loads(verbose.stdout) == []
    assert verbose.stderr.splitlines()[1:] == ["debug: a.library: reading \\x1b[31mfile", "a note"]
    assert seen == LOUD
    assert [name for name in LOUD if name in os.environ] == []
    assert (logging.root.level, logging.root.handlers) == (level, handlers)
    assert run("studies", "--json").stderr == "a note\n"
    assert seen == dict.fromkeys(LOUD)


def test_what_the_environment_says_about_a_library_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "debug")
    seen: list[str] = []
    monkeypatch.setattr("peftsearch.results.kept.kept_studies", lambda _: [])
    monkeypatch.setattr("peftsearch.api.list_studies", lambda: seen.append(os.environ["TRANSFORMERS_VERBOSITY"]) or [])
    assert run("-v", "studies", "--json").exit_code == 0
    assert (seen, os.environ["TRANSFORMERS_VERBOSITY"]) == (["debug"], "debug")


def test_both_at_once_are_refused() -> None:
    shown = run("-q", "front", "-v", "--study", "toy")
    assert (shown.exit_code, shown.stderr.splitlines()[-1]) == (
        2, "Error: --verbose and --quiet contradict each other; keep one",
    )  # fmt: skip


def test_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    assert "\x1b[32m" in run("trials", "--study", "toy", color=True).stdout
    for arguments in (("--no-color", "trials", "--study", "toy"), ("trials", "--study", "toy", "--no-color")):
        assert "\x1b[32m" not in run(*arguments, color=True).stdout
