"""The proof that an exported folder labels as the trial's classifier does, in a fresh process without peftsearch."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peftsearch.backbones.names import hub_name
from peftsearch.core.errors import UserError
from peftsearch.core.files.run_folder import RunFolder
from peftsearch.data.load import open_prepared
from peftsearch.export.standard.forms import FORMS
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray

MOST_ROWS, MADE_UP, BATCH = 1000, 64, 32
"""At most so many validation rows are predicted, or so many made-up texts, in batches of so many."""

TIE = 1e-3
"""Two best logits nearer than this are a tie, which rounding may decide otherwise. Folding an adapter into weights
moves a logit of MiniLM by about 1e-7 (`docs/exports.md`)."""

SCRIPT = "peftsearch.export.standard.fresh_process"
"""What the fresh process runs; it is not imported here."""

Row = tuple[str, ...]
"""A text, or a pair of texts."""


@dataclass(frozen=True)
class Rows:
    """What both sides predict.

    Attributes:
        texts: in the order of their batches.
        what: the rows in words, in the plural.
    """

    texts: Sequence[Row]
    what: str


@dataclass(frozen=True)
class Proof:
    """What came of it.

    Attributes:
        rows: how many were predicted.
        what: the rows in words, in the plural.
        largest: the largest difference between the two logits of a row and a class.
        changed: how many rows have another label, ties aside.
        ties: how many rows have another label whose two best logits are nearer than `TIE`.
    """

    rows: int
    what: str
    largest: float
    changed: int
    ties: int = 0

    def __str__(self) -> str:
        ties = f" ({self.ties} ties are decided otherwise)" if self.ties else ""
        return (
            f"opened in a fresh process without peftsearch, it labels {self.rows:,} {self.what}: {self.changed} labels "
            f"differ from the trial's{ties}, logits by at most {self.largest:.1g}"
        )


def prove(kept: Checkpoint, form: str, folder: Path, rows: Rows) -> Proof:
    """Compare the labels and logits of an exported folder with those of the trial's classifier, in fp32 on the CPU.

    Raises:
        UserError: the folder cannot be opened without peftsearch, or it gives a row another label.
    """
    expected = expected_logits(kept, rows.texts)
    [found] = fresh_logits([job(form, folder, kept, rows.texts)])
    proof = compared(expected, found, rows.what)
    if proof.changed:
        raise UserError(f"--trial {kept.point}: nothing was exported, because the folder is not the trial: {proof}")
    return proof


def compared(expected: NDArray[Any], found: NDArray[Any], what: str) -> Proof:
    """The differences between two sets of logits of shape (rows, classes)."""
    best = np.sort(expected, axis=1)[:, ::-1]
    other = expected.argmax(axis=1) != found.argmax(axis=1)
    tie = best[:, 0] - best[:, 1] < TIE
    largest = float(np.abs(expected - found).max())
    if not np.isfinite(largest):
        return Proof(len(expected), what, largest, len(expected))
    return Proof(len(expected), what, largest, int((other & ~tie).sum()), int((other & tie).sum()))


def rows_of_study(run: RunFolder, kept: Checkpoint) -> Rows:
    """The first validation rows of a study, or made-up texts where its prepared data is gone.

    Args:
        run: the study's folder.
    """
    prepared = open_prepared(run, kept.measurement.data_fingerprint)
    return made_up_rows(kept) if prepared is None else first_rows(prepared.splits["validation"], "validation rows")


def first_rows(split: Dataset, what: str) -> Rows:
    """The first rows of a split of prepared data; `what` names them in words."""
    first = split.select(range(min(MOST_ROWS, len(split))))
    columns = [list(first[name]) for name in ("text", "pair") if name in first.column_names]
    return Rows(_sorted(zip(*columns, strict=True)), what)


def made_up_rows(kept: Checkpoint) -> Rows:
    """Texts of random words that the trial's classifier knows."""
    draw, words = random.Random(0), list(_vocabulary(kept))
    texts = [(" ".join(draw.choices(words, k=draw.randint(1, 40))),) for _ in range(MADE_UP)]
    return Rows(_sorted(texts), "made-up texts, because the study's prepared data is gone")


def expected_logits(kept: Checkpoint, texts: Sequence[Row]) -> NDArray[np.float64]:
    """What the trial's classifier gives each row, of shape (rows, classes)."""
    if kept.config.method in TEXT_METHODS:
        return TEXT_METHODS[kept.config.method].read(kept.folder).scores([" ".join(text) for text in texts])
    import torch

    from peftsearch.backbones.loading import resolve, tokenizer_of
    from peftsearch.training.batches import text_batch

    config, classifier = kept.config, kept.classifier()
    tokenizer, found = tokenizer_of(config, resolve(config.backbone, config.revision)), []
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            batch = text_batch(tokenizer, texts[start : start + BATCH], config.max_length)
            found.append(classifier(**batch).logits)
    logits: NDArray[np.float64] = torch.cat(found).double().numpy()
    return logits


def job(form: str, folder: Path, kept: Checkpoint, texts: Sequence[Row]) -> Mapping[str, Any]:
    """What the fresh process has to predict; see `fresh_process`.

    An adapter's `backbone` is its name on the hub, and the folder in which the trial has found it.
    """
    rows = [text[0] if len(text) == 1 else {"text": text[0], "text_pair": text[1]} for text in texts]
    loader = FORMS[form].loader_of(str(folder.resolve()))
    found = {"loader": loader, "rows": rows, "labels": list(kept.labels), "batch_size": BATCH}
    name = hub_name(kept.config.backbone) if FORMS[form].adapter else None
    if name is None:
        return found
    from peftsearch.backbones.loading import resolve

    return {**found, "backbone": (name, resolve(kept.config.backbone, kept.config.revision).path)}


def fresh_logits(jobs: Sequence[Mapping[str, Any]]) -> Iterator[NDArray[np.float64]]:
    """The logits of each job, in turn, from a process of its own that cannot import peftsearch.

    Raises:
        UserError: a loader fails there.
    """
    script = find_spec(SCRIPT)
    assert script is not None, "it is one of our modules"
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "jobs.json"
        file.write_text(json.dumps(jobs), encoding="utf-8")
        for name, place in {one["backbone"] for one in jobs if "backbone" in one}:
            # The process runs in this folder, where libraries look for a name before they ask the hub.
            (Path(scratch) / name).parent.mkdir(exist_ok=True)
            (Path(scratch) / name).symlink_to(place)
        command = [sys.executable, "-P", str(script.origin), str(file), scratch]
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=_environment(scratch), cwd=scratch
        )
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(f"the exported folder cannot be opened without peftsearch: {reason}")
        yield from [np.load(Path(scratch) / f"{number}.npy") for number in range(len(jobs))]


def _environment(scratch: str) -> dict[str, str]:
    """The fresh process looks at no hub and no GPU, and leaves nothing behind."""
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "HF_MODULES_CACHE": str(Path(scratch) / "modules"),
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _vocabulary(kept: Checkpoint) -> Sequence[str]:
    if kept.config.method in TEXT_METHODS:
        known = json.loads((kept.folder / "terms.json").read_text(encoding="utf-8"))["terms"]
        return [str(term) for term in known]
    from peftsearch.backbones.loading import resolve, tokenizer_of

    tokenizer = tokenizer_of(kept.config, resolve(kept.config.backbone, kept.config.revision))
    special = set(tokenizer.all_special_ids)
    ids = sorted(id for id in tokenizer.get_vocab().values() if id not in special)
    return [word for id in ids if (word := tokenizer.decode([id]).strip())]


def _sorted(texts: Any) -> list[Row]:
    """Short rows first, so that batches hold little padding."""
    return sorted((tuple(text) for text in texts), key=lambda text: sum(map(len, text)))
