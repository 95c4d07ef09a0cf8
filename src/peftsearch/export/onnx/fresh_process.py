"""Runs a loader where neither torch nor peftsearch can be imported: `python -P FILE JOB.json OUT_FOLDER`.

The job holds the `loader`, the `columns` of the rows (their texts, or their first and second texts), `batch_size`, and
how many rows to `time`. The logits, of shape (rows, labels), are written to `OUT_FOLDER/logits.npy`, and the seconds
that single texts took to `OUT_FOLDER/seconds.npy`.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any


def main(file: str, out: str) -> None:
    for name in ("torch", "peftsearch"):
        sys.modules[name] = None  # type: ignore[assignment]  # an import of it fails from now on
    import numpy as np

    job = json.loads(Path(file).read_text(encoding="utf-8"))
    scope: dict[str, Any] = {}
    exec(job["loader"], scope)
    columns, size = job["columns"], job["batch_size"]
    count = len(columns[0])
    found = [scope["logits"](*(column[i : i + size] for column in columns)) for i in range(0, count, size)]
    np.save(Path(out) / "logits.npy", np.concatenate(found))
    seconds = []
    for i in range(job["time"]):
        started = time.perf_counter()
        scope["logits"](*([column[i * count // job["time"]]] for column in columns))
        seconds.append(time.perf_counter() - started)
    np.save(Path(out) / "seconds.npy", np.asarray(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
