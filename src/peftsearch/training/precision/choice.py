"""Chooses the number format that a trial computes in, by measurement."""

from __future__ import annotations

import json
from contextlib import ExitStack, suppress
from pathlib import Path

import torch

from peftsearch.core.files.cache_folder import cache_folder
from peftsearch.core.files.locks import locked
from peftsearch.training.precision.benchmark import TrainingStep, step_seconds
from peftsearch.training.precision.number_formats import formats_of

MINIMUM_SPEEDUP = 1.1
"""A less exact format is only taken if it is this many times as fast."""

MEASURE_SECONDS = 2.0


def choose_precision(asked: str, device: torch.device, work: TrainingStep) -> str:
    """`asked`, or for `auto` the most exact of the device's number formats that no other beats by a tenth.

    On a GPU, small encoders and short batches are often fastest in fp32: their steps wait for Python, and each cast of
    autocast is one more kernel to launch. On a CPU with bf16 instructions, bf16 is nearly always fastest.

    Args:
        work: a training step of this trial. A machine measures each kind of step once, so that its trials agree.
    """
    formats = formats_of(device)
    if asked == "tf32" and asked not in formats:
        return "fp32"  # as a device without TF32 computes anyway
    if asked != "auto":
        return asked
    if len(formats) == 1:
        return formats[0]
    seconds = _measured(device, formats, work)
    fastest = min(seconds.values())
    return next(name for name in formats if seconds[name] <= MINIMUM_SPEEDUP * fastest)


_KNOWN: dict[str, dict[str, float]] = {}
"""What this process has measured or read: a step's name → seconds in each format."""


def _measured(device: torch.device, formats: tuple[str, ...], work: TrainingStep) -> dict[str, float]:
    """Seconds of a step in each format; workers that start together wait for the first one's measurement."""
    name = work.name_on(device)
    if name in _KNOWN:
        return _KNOWN[name]
    kept = cache_folder().precision
    with ExitStack() as lock:
        with suppress(OSError):  # where the cache cannot be written, each process measures for itself
            kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock.enter_context(locked(kept.with_name(".precision.lock")))
        known = _read(kept)
        if set(known.get(name, ())) != set(formats):
            known[name] = step_seconds(device, formats, work, MEASURE_SECONDS)
            with suppress(OSError):
                kept.write_text(json.dumps(known, indent=1), encoding="utf-8")
    _KNOWN[name] = known[name]
    return known[name]


def _read(kept: Path) -> dict[str, dict[str, float]]:
    """The measurements of all machines that share this cache; none if the file is missing or damaged."""
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
        return {name: {key: float(value) for key, value in taken.items()} for name, taken in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
