"""Files are UTF-8 in every locale, and a locale that is not UTF-8 breaks nothing that its signs can name."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import peftsearch
from tests.helpers.files import json_lines
from tests.helpers.tiny import tiny_model

FILES = sorted(Path(peftsearch.__file__).parent.rglob("*.py"))
TEXT_FILES = {"read_text", "write_text", "open", "fdopen", "TextIOWrapper", "NamedTemporaryFile", "TemporaryFile"}
SUBPROCESSES = {"Popen", "run", "check_output"}


def locale_dependent(source: str) -> Iterator[str]:
    """The calls that read or write text in the locale's encoding."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        module = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        written = [*node.args, *given.values()]
        binary = any(
            isinstance(part, ast.Constant) and part.value in ("rb", "wb", "xb", "ab", "r+b", "w+b") for part in written
        )
        positional = name == "read_text" and node.args  # its first argument is the encoding
        text = name in TEXT_FILES and not binary and module not in ("fsspec", "archive", "os", "tarfile", "webbrowser")
        text = text and not (name in ("NamedTemporaryFile", "TemporaryFile") and "mode" not in given)
        text |= name in SUBPROCESSES and module == "subprocess" and bool({"text", "universal_newlines"} & given.keys())
        text |= name == "fdopen" and not binary
        second = name == "TextIOWrapper" and len(written) > 1  # the encoding by its place
        if text and "encoding" not in given and not positional and not second:
            yield ast.unparse(node)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_text_file_is_opened_with_its_encoding(file: Path) -> None:
    assert list(locale_dependent(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("open('a')", 1),
        ("path.read_text()", 1),
        ("path.write_text(text)", 1),
        ("path.open('a')", 1),
        ("os.fdopen(1, 'w')", 1),
        ("subprocess.Popen(['a'], text=True)", 1),
        ("io.TextIOWrapper(file)", 1),
        ("path.read_text('utf-8'); path.open('rb'); open('a', encoding='utf-8'); tempfile.TemporaryFile()", 0),
        ("io.TextIOWrapper(file, 'utf-8'); path.open('xb')", 0),
        ("subprocess.run(['a'], text=True, encoding='utf-8'); run('a')", 0),
    ],
)
def test_such_calls_are_found(source: str, found: int) -> None:
    assert len(list(locale_dependent(source))) == found


LABELS = ("Größe", "模型 «x»")
STUDY = """\
name: toy
goal: Süß oder 模型?
data: {source: rows.jsonl, splits: {validation: 0.25, test: 0.25}, max_length: 24}
backbones: [model]
training: {epochs: 1, batch_size: 16}
methods: {tfidf: {}, probe: {}}
"""


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    tiny_model(work / "model")
    rows = [
        {"text": f"word{i % 30} good {('cat', 'dog')[i % 2]} number{i}", "label": LABELS[i % 2]} for i in range(120)
    ]
    json_lines(work / "rows.jsonl", rows)
    (work / "toy.yaml").write_text(STUDY, encoding="utf-8")
    return work


def run(folder: Path, *arguments: str, stdio: str = "latin-1") -> subprocess.CompletedProcess[bytes]:
    """In the C locale, whose only signs are those of ASCII, with a terminal of its own encoding."""
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": stdio}
    environment = {name: value for name, value in {**os.environ, **plain}.items() if name != "PEFTSEARCH_STORAGE"}
    command = [sys.executable, "-m", "peftsearch", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300, check=False)


def test_a_search_and_an_export_in_a_locale_without_these_signs(work: Path) -> None:
    for command in (
        ("optimize", "--study", "toy.yaml", "--trials", "2", "--workers", "1"),
        ("status", "--study", "toy.yaml"),
        ("trial", "0", "--study", "toy.yaml"),
        ("front", "--study", "toy.yaml", "--plot", "front.html"),
        ("confirm", "--study", "toy.yaml", "--seeds", "1", "--trial", "best"),
        ("export", "--study", "toy.yaml", "--out", "out"),
    ):
        done = run(work, *command)
        assert done.returncode == 0, (command, done.stderr)
    described = yaml.safe_load((work / "out" / "peftsearch.yaml").read_text(encoding="utf-8"))
    assert described["labels"] == sorted(LABELS)
    assert "Größe, 模型 «x»" in (work / "out" / "README.md").read_text(encoding="utf-8")
    assert "Traceback" not in (work / "runs" / "toy" / "worker-0.log").read_text(encoding="utf-8")
    answer = run(work, "predict", "out", "--text", "a good cat", "--json", stdio="utf-8")
    assert json.loads(answer.stdout)[0]["label"] in LABELS
    shown = run(work, "predict", "out", "--text", "a good cat", "--text", "a good dog")
    assert {line.split()[0] for line in shown.stdout.decode("latin-1").splitlines()[1:]} == {"Größe", "\\u6a21\\u578b"}


def test_a_folder_that_the_locale_cannot_name_is_one_line(tmp_path: Path, work: Path) -> None:
    (here := tmp_path / "größe").mkdir()
    for name in ("rows.jsonl", "toy.yaml"):
        (here / name).write_bytes((work / name).read_bytes())
    (here / "model").symlink_to(work / "model")
    done = run(here, "optimize", "--study", "toy.yaml", "--trials", "1")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert done.stderr.endswith(
        b"runs/toy: this locale's encoding, ascii, does not fit the name; "
        b"set LC_ALL=C.UTF-8, or use a folder with an ASCII name\n"
    )


def test_an_argument_that_the_locale_cannot_name_is_one_line(work: Path) -> None:
    done = run(work, "export", "--study", "toy.yaml", "--out", "größe")
    assert done.returncode == 2
    assert done.stderr.decode().endswith("is not UTF-8; and this locale's encoding is not either; set LC_ALL=C.UTF-8\n")
