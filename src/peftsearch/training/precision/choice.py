"""Which number format a trial computes in."""

from __future__ import annotations

import json
import os
from contextlib import ExitStack, suppress
from pathlib import Path

import torch
from filelock import FileLock

from peftsearch.training.precision.benchmark import TrainingStep, step_seconds
from peftsearch.training.precision.number_formats import formats_of

PAYS = 1.1
"""How many times faster than a more exact format one must be to be taken."""

MEASURE_SECONDS = 2.0


def choose_precision(asked: str, device: torch.device, work: TrainingStep) -> str:
    """`asked`, or for `auto`: the most exact of the device's formats that no other beats by a tenth, as measured.

    On a GPU that is so with small encoders and short batches, which wait for Python: each cast of autocast is one more
    kernel to start. On a CPU with native bf16 it is nearly always bf16; one without it emulates it many times slower.

    Args:
        work: a step of this trial; for each there is one measurement a machine, so that its trials all agree.
    """
    formats = formats_of(device)
    if asked == "tf32" and asked not in formats:
        return "fp32"  # which it is, everywhere else
    if asked != "auto":
        return asked
    if len(formats) == 1:
        return formats[0]
    seconds = _measured(device, formats, work)
    fastest = min(seconds.values())
    return next(name for name in formats if seconds[name] <= PAYS * fastest)


_KNOWN: dict[str, dict[str, float]] = {}
"""What this process has measured or read."""


def _measured(device: torch.device, formats: tuple[str, ...], work: TrainingStep) -> dict[str, float]:
    """Seconds of a step in each format; workers that start together wait for the first one's measurement."""
    name = work.name_on(device)
    if name in _KNOWN:
        return _KNOWN[name]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peftsearch"
    kept = folder / "precision.json"
    with ExitStack() as lock:
        with suppress(OSError):  # a home that cannot be written costs each process the two seconds
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(FileLock(folder / ".precision.lock"))
        known = _read(kept)
        if set(known.get(name, ())) != set(formats):
            known[name] = step_seconds(device, formats, work, MEASURE_SECONDS)
            with suppress(OSError):
                kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
    _KNOWN[name] = known[name]
    return known[name]


def _read(kept: Path) -> dict[str, dict[str, float]]:
    """Of every machine that shares this home; nothing if it is not there, or not ours."""
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return {name: {key: float(value) for key, value in taken.items()} for name, taken in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
