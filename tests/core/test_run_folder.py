from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import peftsearch
from peftsearch.core.run_folder import PREFIXES, RUNS, RunFolder

ROOT = Path(peftsearch.__file__).parent
NAMES = {str(RUNS), PREFIXES, "weights", "data", "tokens"}


def test_a_study_has_a_folder_and_a_database_beside_it() -> None:
    folder = RunFolder.of("toy")
    assert folder.root == Path("runs/toy")
    assert folder.database == Path("runs/toy.db")


def test_all_else_lies_in_the_folder() -> None:
    folder = RunFolder(Path("elsewhere/toy"))
    assert folder.weights == Path("elsewhere/toy/weights")
    assert folder.data == Path("elsewhere/toy/data")
    assert folder.tokens == Path("elsewhere/toy/tokens")
    assert folder.prefixes == Path("elsewhere/toy/tokens/prefixes")
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
    assert found == {"core/run_folder.py"}
