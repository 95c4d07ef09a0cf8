"""Which process a worker is, so that another process can tell whether it still runs."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
    """This process: `pid`, `host` and `started` (unix time)."""
    import psutil

    process = psutil.Process()
    return {"pid": process.pid, "host": host(), "started": process.create_time()}


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

    if worker.get("host") != host():
        return None
    try:
        process = psutil.Process(worker["pid"])
        return abs(process.create_time() - worker["started"]) > 1.0 or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
