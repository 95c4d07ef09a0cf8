"""Which number format a trial computes in."""

from __future__ import annotations

import json
import os
import platform
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from statistics import median

import torch

from peftsearch.training.meter import processor

PAYS = 1.1
"""How many times faster bf16 must be to be taken."""

MEASURE_SECONDS = 2.0
ROWS, WIDTH, INNER = 512, 384, 1536
"""Of the measured product: the tokens of a small batch through a small encoder's feed-forward part."""

PRECISIONS = ("auto", "bf16", "fp16", "fp32")


def choose_precision(asked: str, device: torch.device) -> str:
    """`asked`, or for `auto`: bf16 where the device has it natively, fp16 with scaling on older GPUs, else fp32.

    A CPU without native bf16 emulates it many times slower; one that has it must also show that it is faster so.
    """
    if asked != "auto":
        return asked
    if device.type == "cuda":
        return "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() and _bf16_pays() else "fp32"


@cache
def _bf16_pays() -> bool:
    """Measured once a machine and version of torch, so that its trials all have one precision, and kept."""
    machine = f"{processor()}, torch {torch.__version__}"
    kept = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "peftsearch" / "bf16.json"
    known: dict[str, float] = {}  # of every machine that shares this home
    with suppress(OSError, ValueError, TypeError):  # not there, or not ours: measured anew
        known = {name: float(speedup) for name, speedup in dict(json.loads(kept.read_text(encoding="utf-8"))).items()}
    if machine in known:
        return known[machine] >= PAYS
    speedup = bf16_speedup(MEASURE_SECONDS)
    with suppress(OSError):  # a home that cannot be written costs each process the two seconds
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps({**known, machine: speedup}), encoding="utf-8")
    return speedup >= PAYS


def bf16_speedup(seconds: float) -> float:
    """How many times faster a linear layer is trained under bf16 autocast than in fp32, in turns for `seconds`.

    With one thread and in the processor's seconds: two threads on busy cores wait for each other, and showed 0.7 where
    one showed 1.9.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    layer, states = torch.nn.Linear(WIDTH, INNER), torch.randn(ROWS, WIDTH)
    times: dict[bool, list[float]] = {False: [], True: []}
    until = time.process_time() + seconds
    while time.process_time() < until or not times[True]:
        for half, taken in times.items():
            started = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                layer(states).float().sum().backward()
            taken.append(time.process_time() - started)
    torch.set_num_threads(threads)
    return median(times[False]) / median(times[True])


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """As the Trainer's, for a forward pass outside it."""
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "fp32")


@cache
def _cpu_has_bf16() -> bool:
    info = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not info.exists():
        return False
    flags = {
        word
        for line in info.read_text().splitlines()
        if line.startswith(("flags", "Features"))
        for word in line.split()
    }
    return bool(flags & {"avx512_bf16", "amx_bf16", "bf16"})
