"""The tutorial runs, on a tiny model and a few rows, and what is committed of it belongs together."""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from scripts.make_tutorial import PAGE, PICTURES, RAN, code_hash, page, read, run

from tests.helpers.tiny import tiny_model

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""The study's backbone; a folder of this name beside the notebook is found before the package with its weights."""

SMALL = """
ROWS, TRIALS, SEEDS = 60, 3, 2

import shlex, subprocess
from peftsearch.cli import main

def in_this_process(command):
    command = get_ipython().var_expand(command, depth=1)
    if command.startswith("peftsearch "):
        main(shlex.split(command)[1:], standalone_mode=False)
    else:
        print(subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout, end="")

get_ipython().system = in_this_process  # a process for each command would import torch again and again
"""


@pytest.fixture(scope="module")
def committed() -> Any:
    return read()


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def printed(cell: Any) -> str:
    """What a cell has printed or shown as text."""
    return "".join(out.get("text", "") or out.get("data", {}).get("text/plain", "") for out in cell.outputs)


def test_every_cell_runs_on_other_rows_and_another_model(tmp_path: Path) -> None:
    packed = files("peftsearch") / "resources/wordnet-nouns/glosses.jsonl.gz"
    texts = [json.loads(line)["text"] for line in gzip.decompress(packed.read_bytes()).splitlines()[:500]]
    tiny_model(tmp_path / MODEL, vocabulary=sorted({word for text in texts for word in text.lower().split()}))
    notebook = read()
    run(notebook, tmp_path, SMALL)
    told = {cell.source.splitlines()[-1]: printed(cell) for cell in code_cells(notebook)}
    assert "on the Pareto front" in told["!peftsearch optimize --study glosses --trials {TRIALS}"]
    assert "measured on the test split" in told["!peftsearch confirm --study glosses --seeds {SEEDS}"]
    assert "on test" in told["!peftsearch recommend --study glosses"]
    assert "0 labels differ" in told["!peftsearch export --study glosses --trial recommended --out model --retrain"]
    assert (tmp_path / "labelled.csv").read_text().count("\n") == 61
    assert (tmp_path / "report.html").stat().st_size > 1e6
    pictures = [out for cell in code_cells(notebook) for out in cell.outputs if "image/png" in out.get("data", {})]
    assert len(pictures) == 1


def test_the_committed_outputs_are_those_of_the_committed_code(committed: Any) -> None:
    cells = code_cells(committed)
    assert committed.metadata[RAN] == code_hash(committed), "run `python -m scripts.make_tutorial` again"
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell.outputs for cell in cells[1:])
    assert not any(out.output_type == "error" or "Traceback" in printed(cell) for cell in cells for out in cell.outputs)
    assert "\x1b" not in "".join(map(printed, cells))


def test_another_code_is_noticed() -> None:
    notebook = read()
    code_cells(notebook)[-1].source += "\n1 + 1"
    assert notebook.metadata[RAN] != code_hash(notebook)


def test_the_page_is_that_of_the_notebook(committed: Any) -> None:
    text, pictures = page(committed)
    assert PAGE.read_text(encoding="utf-8") == text, "run `python -m scripts.make_tutorial --page`"
    assert pictures
    for name, data in pictures.items():
        assert (PAGE.parent / PICTURES / name).read_bytes() == data
        assert len(data) <= 200_000
