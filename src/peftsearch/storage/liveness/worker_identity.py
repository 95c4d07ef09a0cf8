"""Which process a worker is, so that another process can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psutil

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Linux makes it anew whenever a machine starts: it tells machines of the same name from each other."""


def this_process() -> dict[str, Any]:
    """This process: `pid`, `host`, `started` (unix time) and, in Linux, `born` (see `born`)."""
    import psutil

    process = psutil.Process()
    return {"pid": process.pid, "host": host(), "started": process.create_time(), "born": born(process.pid)}


def born(pid: int) -> str | None:
    """When a process of this machine started, as `BOOT/TICKS` since the machine did; None where there is no Linux.

    It stays what it is when the machine's clock is set, which moves every `started`.
    """
    with suppress(OSError, IndexError):
        after_its_name = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
        return f"{BOOT.read_text(encoding='utf-8').strip()}/{after_its_name.split()[19]}"
    return None


def identity(device: str, parent: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """This process as a worker, with the GPUs that it sees, unless it sees all.

    Args:
        device: what it trains on.
        parent: the process that started it, as `this_process` tells it there; None if nothing watches over it.
    """
    return {**this_process(), "device": device, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"), "parent": parent}


def is_this_process(process: Mapping[str, Any]) -> bool:
    """Whether `process` is this one, or had its process id before."""
    return process_of(process) == (host(), os.getpid())


def host() -> str:
    """The name of this machine, and in Linux its process-id namespace, since a container has process ids of its own."""
    namespace = Path("/proc/self/ns/pid")
    suffix = f"/{namespace.readlink().name.strip('pid:[]')}" if namespace.is_symlink() else ""
    return socket.gethostname() + suffix


def process_of(worker: Mapping[str, Any] | None) -> tuple[Any, Any] | None:
    """The host and the process id of a worker's identity; None where there is no identity."""
    return (worker.get("host"), worker.get("pid")) if worker else None


def is_gone(worker: Mapping[str, Any]) -> bool | None:
    """Whether the worker's process has ended; None if it is on another machine.

    A process that was given the same id later is told from the worker by the time at which it started.
    """
    import psutil

    if worker.get("host") != host() or _is_of_another_boot(worker):
        return None
    try:
        process = psutil.Process(worker["pid"])
        return not _is_same(worker, process) or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_of_another_boot(worker: Mapping[str, Any]) -> bool:
    """Whether its machine only has the same name, or has been started anew since."""
    then, now = worker.get("born"), born(os.getpid())
    return bool(then and now) and str(then).partition("/")[0] != str(now).partition("/")[0]


def _is_same(worker: Mapping[str, Any], process: psutil.Process) -> bool:
    then, now = worker.get("born"), born(process.pid)
    return bool(then == now if then and now else abs(process.create_time() - worker["started"]) <= 1.0)
