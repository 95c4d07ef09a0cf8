"""Run docs/tutorial.ipynb from its first cell to its last, and keep what it printed, as a notebook and as a page.

OMP_NUM_THREADS=1 python -m scripts.make_tutorial --folder /tmp/tutorial   # runs it there, in about twenty minutes
python -m scripts.make_tutorial --page                                     # only writes the page again
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"
PAGE = NOTEBOOK.with_suffix(".md")
PICTURES = "pictures"
"""The folder beside the page that holds its pictures."""

RAN = "code_that_ran"
"""The notebook's own note of the code that gave its outputs, as a SHA-256."""

KERNEL = (
    "--ZMQInteractiveShell.system_raise_on_error=1",
    # ipykernel 7.4 says xterm-color whatever the environment says, and colours are codes that a page shows as they are.
    "--IPKernelApp.exec_lines=import os; os.environ['TERM'] = 'dumb'",
)
"""Options of the kernel: a command that fails ends the run."""

HEAD = "<!-- Written by `python -m scripts.make_tutorial` from tutorial.ipynb: change that, not this. -->\n\n"


def read(path: Path = NOTEBOOK) -> Any:
    """The notebook in `path`."""
    import nbformat

    return nbformat.read(path, as_version=4)


def run(notebook: Any, folder: Path, further: str = "") -> None:
    """Run every cell in a fresh kernel, and put its outputs into the notebook.

    Args:
        notebook: what `read` has returned.
        folder: the working folder, in which the notebook writes its files.
        further: code to run after that of the cell tagged `parameters`.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised an error, or a command in it did not end with 0.
    """
    from nbclient import NotebookClient

    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    written = cell.source
    cell.source = f"{written}\n{further}"
    client = NotebookClient(
        notebook, timeout=3600, kernel_name="python3", coalesce_streams=True, record_timing=False,
        resources={"metadata": {"path": str(folder)}}, extra_arguments=list(KERNEL),
    )  # fmt: skip
    client.execute(env=environment(os.environ))
    cell.source = written
    notebook.metadata[RAN] = code_hash(notebook)


def environment(now: Mapping[str, str]) -> dict[str, str]:
    """The kernel's environment: `peftsearch` is this Python's, and keeps what it writes in the working folder."""
    kept = {name: value for name, value in now.items() if name not in ("PEFTSEARCH_RUNS", "PEFTSEARCH_STORAGE")}
    path = os.pathsep.join([str(Path(sys.executable).parent), now.get("PATH", os.defpath)])
    quiet = {"PYTHONWARNINGS": "ignore:IProgress not found"}  # tqdm misses ipywidgets, which Jupyter itself brings
    return {**kept, **quiet, "PATH": path}


def code_hash(notebook: Any) -> str:
    """What tells whether a cell's code was changed after the notebook had run."""
    code = "\0".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return hashlib.sha256(code.encode()).hexdigest()


def page(notebook: Any) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and the pictures that it shows: name → PNG."""
    from nbconvert import MarkdownExporter

    text, resources = MarkdownExporter().from_notebook_node(notebook, {"unique_key": "tutorial"})
    found: dict[str, bytes] = {}
    for place, (name, data) in enumerate(sorted(resources["outputs"].items()), start=1):
        found[f"tutorial-{place}.png"] = data
        text = text.replace(f"]({name})", f"]({PICTURES}/tutorial-{place}.png)")
    return HEAD + "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n", found


def write_page(notebook: Any) -> None:
    """Write `PAGE` and its pictures."""
    text, pictures = page(notebook)
    PAGE.write_text(text, encoding="utf-8")
    for name, data in pictures.items():
        (PAGE.parent / PICTURES / name).write_bytes(data)


def main() -> None:
    """Run the notebook, unless `--page` asks for the page alone, and write both files."""
    import nbformat

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a new folder to run it in, which is kept for make_pictures")
    parser.add_argument("--page", action="store_true", help="write the page of what the last run has left")
    asked = parser.parse_args()
    notebook = read()
    if not asked.page:
        folder = asked.folder or Path(tempfile.mkdtemp())
        folder.mkdir(parents=True, exist_ok=asked.folder is None)
        run(notebook, folder)
        nbformat.write(notebook, NOTEBOOK)
    write_page(notebook)


if __name__ == "__main__":
    main()
