"""Names that are too long, and folders that cannot be written: each command says so in one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from peftsearch.cli import main
from peftsearch.data.cache import build_once
from peftsearch.training.prefix_cache.store import Cost, PrefixStore
from tests.helpers.files import json_lines, rows
from tests.helpers.tiny import tiny_model

STUDY = """\
name: NAME
data: {source: SOURCE, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [BACKBONE]
training: {epochs: 1, batch_size: 16}
methods: {tfidf: {}}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def write_project(folder: Path) -> None:
    tiny_model(folder / "model")
    json_lines(folder / "rows.jsonl", rows(60))
    write_study(folder / "toy.yaml")


def write_study(file: Path, name: str = "toy", source: str = "rows.jsonl", backbone: str = "./model") -> None:
    text = STUDY.replace("NAME", name).replace("SOURCE", source).replace("BACKBONE", backbone)
    file.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a finished search and an export."""
    folder = tmp_path_factory.mktemp("project")
    write_project(folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.delenv("PEFTSEARCH_STORAGE", raising=False)
        patched.setenv("PEFTSEARCH_CACHE", "cache")
        assert run("optimize", "--study", "toy.yaml", "--trials", "1", "--workers", "1").exit_code == 0
        assert run("export", "--study", "toy.yaml", "--out", "m").exit_code == 0
    return folder


@pytest.fixture
def work(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    return project


def one_line(done: Result) -> str:
    assert done.exit_code == 2, (done.output, done.exception)
    [*_, line] = done.stderr.strip().splitlines()
    assert line.startswith("Error: ")
    assert "Traceback" not in done.output
    return line


@pytest.mark.parametrize("length", [256, 300, 5000])
@pytest.mark.parametrize(
    "command",
    [
        "check --study LONG",
        "check --study LONG.yaml",
        "check --study deep/LONG/toy.yaml",
        "check --study toy.yaml --data train=LONG.csv",
        "check --study toy.yaml --backbone LONG",
        "check --study toy.yaml --backbone ./LONG",
        "status --study toy.yaml --fork LONG",
        "optimize --study toy.yaml --trials 1 --fork LONG",
        "optimize --study toy.yaml --trials 1 --storage sqlite:///LONG.db",
        "export --study toy.yaml --out LONG",
        "export --study toy.yaml --out LONG/deeper",
        "front --study toy.yaml --plot LONG.png",
        "front --study toy.yaml --plot LONG/front.html",
        "predict LONG --text a",
        "predict m --file LONG.txt",
        "predict m --file LONG.csv",
    ],
)
def test_a_name_that_is_too_long(work: Path, command: str, length: int) -> None:
    before = sorted(path.name for path in work.iterdir())
    line = one_line(run(*command.replace("LONG", "n" * length).split()))
    assert "too long" in line or "no study" in line or "no trials yet" in line or "is not a folder" in line, line[:200]
    assert sorted(path.name for path in work.iterdir()) == before


@pytest.mark.parametrize("part", ["name", "source", "backbone"])
@pytest.mark.parametrize("place", ["LONG", "./LONG", "deep/LONG"])
def test_a_name_in_the_study_file_that_is_too_long(tmp_path: Path, work: Path, part: str, place: str) -> None:
    if part == "name" and place != "LONG":
        pytest.skip("refused for its slash")
    write_study(work / "long.yaml", **{part: place.replace("LONG", "n" * 300)})
    one_line(run("check", "--study", "long.yaml"))


@pytest.fixture
def read_only(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the project, the working directory, where nothing can be written."""
    (folder := tmp_path / "disk").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PEFTSEARCH_STORAGE", raising=False)
    monkeypatch.setenv("PEFTSEARCH_CACHE", "cache")
    copy = ["cp", "-a", f"{project}/.", str(folder)]
    if os.geteuid():
        subprocess.run(copy, check=True)
        subprocess.run(["chmod", "-R", "a-w", str(folder)], check=True)
    else:  # root may write whatever the permissions say, but not to a disk that is mounted so
        if subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(folder)], capture_output=True
        ).returncode:
            pytest.skip("cannot mount a disk here")
        subprocess.run(copy, check=True)
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    monkeypatch.chdir(folder)
    yield folder
    monkeypatch.chdir(tmp_path)
    if os.geteuid():
        subprocess.run(["chmod", "-R", "u+w", str(folder)], check=True)
    else:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize(
    ("command", "folder"),
    [
        ("optimize --study toy.yaml --trials 2", "runs/toy"),
        ("optimize --study toy.yaml --trials 2 --fork other", "runs/other"),
        ("check --study toy.yaml --limit train=20", "cache/data"),
        ("export --study toy.yaml --out out --storage STORAGE", "disk"),
        ("export --study toy.yaml --out m --overwrite --storage STORAGE", "disk"),
        ("front --study toy.yaml --plot front.png --storage STORAGE", "front.png"),
        ("front --study toy.yaml --plot front.html --storage STORAGE", "front.html"),
    ],
)
def test_a_folder_that_is_read_only(read_only: Path, tmp_path: Path, project: Path, command: str, folder: str) -> None:
    for file in (project / "runs").glob("toy.db*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    line = one_line(run(*command.replace("STORAGE", f"sqlite:///{tmp_path}/toy.db").split()))
    assert "Read-only file system" in line or "Permission denied" in line
    assert Path(folder).name in line


def test_what_only_reads_works_on_a_folder_that_is_read_only(read_only: Path) -> None:
    assert run("check", "--study", "toy.yaml").exit_code == 0
    assert run("predict", "m", "--text", "a cat").exit_code == 0


def test_caches_that_cannot_be_written_are_read_or_done_without(
    read_only: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = next(path for path in (read_only / "cache" / "data").iterdir() if path.is_dir())
    assert build_once(data, lambda _: pytest.fail("it is there")) == data
    store = PrefixStore(read_only / "cache" / "prefixes")
    assert store.get("key", 10, lambda file: Cost()) is None
    assert capfd.readouterr().err.startswith("without the frozen-prefix cache: ")
