"""One worker as a child process: pinned to a device and cores, told its job, and what it says in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from peftsearch.workers import devices
from peftsearch.workers.job import Job, WorkerReport

LOG_LINES = 5


@dataclass
class Child:
    """One worker process."""

    index: int
    process: subprocess.Popen[str]
    log: Path

    def interrupt(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def report(self) -> WorkerReport | None:
        """What the ended process said; None if it died before."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.process.communicate()  # closes the pipes
        return WorkerReport.from_line(line)


def spawn(job: Job, index: int, sharing: int) -> Child:
    """Start a worker process; it gets its job through a pipe that stays open for as long as this process lives.

    Args:
        sharing: into how many equal shares the cores are divided, of which it gets the one of its `index`.
    """
    mine = devices.share(devices.cores(), sharing, index)
    log = job.run_folder.worker_log(index)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as errors:
        process = subprocess.Popen(
            # -P: the folder this is run from may hold a datasets.py or a random.py
            [sys.executable, "-P", "-m", "peftsearch.workers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(len(mine), index),
            start_new_session=True,  # the terminal's Ctrl-C is for this process to pass on
        )
    if sharing > 1 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process.pid, mine)
    _tell(process.stdin, job.for_worker(index, len(mine)))
    return Child(index, process, log)


def _tell(stdin: IO[str] | None, job: Job) -> None:
    assert stdin is not None
    try:
        stdin.write(job.to_line())
        stdin.flush()
    except BrokenPipeError:
        return  # it died already, which shows when it is next looked at


def _environment(threads: int, index: int) -> dict[str, str]:
    variables = {
        # Threads that spin for each other lose whole time slices as soon as anything else wants a core: an epoch of
        # 37 s took 159 s. Waiting without spinning costs an idle machine next to nothing.
        "OMP_WAIT_POLICY": "PASSIVE",
        # glibc maps every block above 32 MiB anew, and a page at a time is cleared when first touched: the gradient of
        # a table of embeddings in each step. Kept in the heap, full fine-tuning of MiniLM takes 10 to 13 % less time.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    gpus = devices.gpus()
    if gpus:
        if "CUDA_VISIBLE_DEVICES" not in os.environ:
            variables["CUDA_DEVICE_ORDER"] = (
                "PCI_BUS_ID"  # as nvidia-smi counts them; by itself CUDA has the fastest first
            )
        variables["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
    return variables


def how_it_ended(child: Child) -> str:
    code = child.process.returncode
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def last_words(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    said = " | ".join(lines[-LOG_LINES:]) or "nothing"
    return f"the last one's log, {log}, ends: {said}"
