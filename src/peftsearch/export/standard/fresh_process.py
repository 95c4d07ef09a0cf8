"""Runs the loaders of exported folders where peftsearch cannot be imported: `python -P FILE JOBS.json OUT_FOLDER`.

Each job holds the `loader`, the `rows` that its `classify` takes, the `labels` in their order, and `batch_size`. The
logits of job number i, of shape (rows, labels), are written to `OUT_FOLDER/i.npy`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(jobs: str, out: str) -> None:
    sys.modules["peftsearch"] = None  # type: ignore[assignment]  # an import of it fails from now on
    import numpy as np

    for number, job in enumerate(json.loads(Path(jobs).read_text(encoding="utf-8"))):
        scope: dict[str, Any] = {}
        exec(job["loader"], scope)
        np.save(Path(out) / f"{number}.npy", logits(scope["classify"], job))


def logits(classify: Any, job: dict[str, Any]) -> Any:
    """The logits of a job's rows, as a pipeline of transformers or the TF-IDF classifier gives them."""
    import numpy as np

    if hasattr(classify, "logits"):
        return np.asarray(classify.logits(job["rows"]), dtype=np.float64)
    answers = classify(job["rows"], batch_size=job["batch_size"], top_k=None, function_to_apply="none")
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    return np.array([[row[label] for label in job["labels"]] for row in scores])


if __name__ == "__main__":
    main(*sys.argv[1:])
