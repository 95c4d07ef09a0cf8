"""Predictions are kept whole or not at all, and read without pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from peftsearch.core.errors import UserError
from peftsearch.core.predictions import Predictions
from peftsearch.storage.kept.predictions import read_predictions, write_predictions


def made(rows: int = 500, seed: int = 0) -> Predictions:
    random = np.random.default_rng(seed)
    return Predictions(random.normal(size=(rows, 4)).astype(np.float32), random.integers(0, 4, rows))


def test_what_is_written_is_read_back_and_small(tmp_path: Path) -> None:
    file, written = tmp_path / "predictions" / "3.npz", made()
    assert read_predictions(file) is None
    write_predictions(file, written)
    found = read_predictions(file)
    assert found is not None
    assert np.array_equal(found.logits, written.logits)
    assert np.array_equal(found.labels, written.labels)
    assert found.logits.dtype == np.float32
    assert np.array_equal(found.predicted, written.logits.argmax(axis=1))
    assert file.stat().st_size < 500 * (4 * 4 + 2)


def test_an_end_in_the_middle_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "3.npz"
    write_predictions(file, made())
    (tmp_path / ".3.npz-999999").write_bytes(b"of a worker that was killed")

    def broken(out: Any, **_: Any) -> None:
        out.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(KeyboardInterrupt):
        write_predictions(file, made(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["3.npz"]
    found = read_predictions(file)
    assert found is not None
    assert np.array_equal(found.logits, made().logits)


@pytest.mark.parametrize("how", ["cut", "other", "flipped", "pickle", "rows"])
def test_a_damaged_file_is_one_line_to_the_user(tmp_path: Path, how: str) -> None:
    file = tmp_path / "3.npz"
    write_predictions(file, made())
    content = file.read_bytes()
    if how == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif how == "other":
        file.write_text("not an archive")
    elif how == "flipped":
        middle = len(content) // 3
        end = middle + 64
        file.write_bytes(content[:middle] + bytes(byte ^ 255 for byte in content[middle:end]) + content[end:])
    elif how == "pickle":
        np.savez(file, logits=np.array([{"a": 1}], dtype=object), labels=np.zeros(1))
    else:
        np.savez(file, logits=np.zeros((3, 2)), labels=np.zeros(2))
    with pytest.raises(UserError) as caught:
        read_predictions(file)
    assert str(caught.value) == f"{file} is damaged; delete it, since nothing else depends on it"
