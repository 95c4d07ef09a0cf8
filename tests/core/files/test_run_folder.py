from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import peftsearch
from peftsearch.core.files.cache_folder import PREFIXES, TOKENS
from peftsearch.core.files.disk import make_runs
from peftsearch.core.files.run_folder import RUNS, RunFolder

ROOT = Path(peftsearch.__file__).parent
NAMES = {str(RUNS), PREFIXES, TOKENS, "weights", "data"}


def test_a_study_has_a_folder_and_a_database_beside_it() -> None:
    folder = RunFolder.of("toy")
    assert folder.root == Path("runs/toy")
    assert folder.database == Path("runs/toy.db")


def test_the_environment_names_another_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTSEARCH_RUNS", "/of/all")
    assert RunFolder.of("toy").root == Path("/of/all/toy")
    monkeypatch.setenv("PEFTSEARCH_RUNS", "~/all")
    assert RunFolder.of("toy").database == Path.home() / "all/toy.db"
    monkeypatch.setenv("PEFTSEARCH_RUNS", "")
    assert RunFolder.of("toy").root == Path("runs/toy")


def test_a_new_folder_of_studies_stays_out_of_git_and_another_is_left_alone(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    make_runs(RunFolder(tmp_path / "a" / "runs" / "toy"))
    (tmp_path / "a" / "runs" / "toy.db").touch()
    (tmp_path / "mine").mkdir()
    make_runs(RunFolder(tmp_path / "mine" / "toy"))
    (tmp_path / "mine" / "toy.db").touch()
    status = ["git", "-C", str(tmp_path), "status", "--porcelain", "-uall"]
    assert subprocess.run(status, check=True, capture_output=True, text=True).stdout == "?? mine/toy.db\n"


def test_all_else_lies_in_the_folder() -> None:
    folder = RunFolder(Path("elsewhere/toy"))
    assert folder.weights == Path("elsewhere/toy/weights")
    assert folder.data == Path("elsewhere/toy/data")
    assert folder.worker_log(3) == Path("elsewhere/toy/worker-3.log")


def spelled(source: str) -> Iterator[str]:
    """Names of a run folder's files, where `source` builds a path of them."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.BinOp(op=ast.Div(), right=ast.Constant(value=name)) if name in NAMES:
                yield name
            case ast.Call(func=ast.Name(id="Path"), args=[ast.Constant(value=name)]) if name in NAMES:
                yield name
            case ast.JoinedStr(values=parts):
                texts = [part.value for part in parts if isinstance(part, ast.Constant)]
                yield from (text for text in texts if text.startswith(".db") or text.endswith("worker-"))


def test_spelled_names_are_found() -> None:
    source = 'Path("runs") / name / "tokens"; f"sqlite:///{folder}.db"; f"worker-{index}.log"; raw["data"]'
    assert set(spelled(source)) == {"runs", "tokens", ".db", "worker-"}


def test_no_other_module_spells_them() -> None:
    found = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py") if set(spelled(file.read_text("utf-8")))}
    assert found == {"core/files/run_folder.py"}
