"""The engine of this machine: each worker is a child process, pinned to a GPU and to CPU cores."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, Literal

from peftsearch.core.errors import UserError
from peftsearch.methods.table import TEXT_METHODS
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.takes import Takes
from peftsearch.workers import devices
from peftsearch.workers.engine import Ended, Wanted
from peftsearch.workers.gpu_packing import GpuPacking
from peftsearch.workers.job import Job, WorkerReport

WORKER = "peftsearch.workers.worker"
LOG_LINES = 5

WithoutGpu = Literal["everything", "nothing", "texts"]
"""What is trained by workers that see no GPU: everything; nothing; or text methods, by one worker with one thread, at
the place 0, which comes to those of the GPUs."""

KILL_SECONDS = 5.0
"""How long a killed process may take to end. One that waits for a broken disk or GPU ends when the kernel lets it."""


@dataclass
class LocalWorker:
    """A worker process.

    Attributes:
        process: its standard input is held open for as long as this process lives; at its end the worker stops.
    """

    index: int
    process: subprocess.Popen[str]
    log: Path
    _ended: Ended | None = None

    def identity(self) -> Mapping[str, Any]:
        return {"pid": self.process.pid, "host": host()}

    def poll(self) -> Ended | None:
        if self._ended is None and self.process.poll() is not None:
            self._kill_group()
            report = self._report()
            self._ended = Ended(report) if report else Ended(None, self._cause(), str(self.log), _log_end(self.log))
        return self._ended

    def interrupt(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        if self.process.poll() is None:
            self._kill_group()
            try:
                self.process.wait(KILL_SECONDS)
            except subprocess.TimeoutExpired:
                self._ended = Ended(None, "signal SIGKILL, which the kernel still holds back", str(self.log))

    def _kill_group(self) -> None:
        """Kill what is left of the worker's session: its own children would keep its pipes and its GPU."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS forbids to signal a group of zombies
            os.killpg(self.process.pid, signal.SIGKILL)

    def _report(self) -> WorkerReport | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.process.communicate()  # closes the pipes
        return WorkerReport.from_line(line)

    def _cause(self) -> str:
        code = self.process.returncode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@dataclass
class LocalEngine:
    """Processes of this machine: a given number of them, or as many as the GPUs have room for.

    Args:
        workers: the number of workers, unless `packing` decides it.
        packing: watches the GPUs and decides how many workers share one.
        module: the module that a worker process runs; it calls `workers.worker.main`.
        without_gpu: what is trained by workers that see no GPU.
        name: tells one worker from others that a scheduler has started for the same search, by its log and its
            sampler's random numbers; empty for the workers of one search, which their places tell apart.
    """

    workers: int
    packing: GpuPacking | None = None
    module: str = WORKER
    without_gpu: WithoutGpu = "nothing"
    name: str = ""

    def capacity(self, holding: int, training: int) -> int:
        if self.packing is None:
            return self.workers + self._beside
        self.packing.sample(holding, training, time.monotonic())
        return self.packing.workers + self._beside

    def takes(self, index: int) -> Takes:
        return takes_at(index, self.without_gpu)

    def _named(self, index: int) -> str:
        """What the log of a worker is called."""
        if not self.name:
            return str(index)
        return f"{self.name}-texts" if self.takes(index) == "texts" else self.name

    @property
    def _beside(self) -> int:
        """How many workers there are beside those of the GPUs."""
        return int(self.without_gpu == "texts")

    def start(self, job: Job, index: int) -> LocalWorker:
        """Start a worker process and pass it its job through a pipe."""
        takes, place = self.takes(index), index - self._beside
        # With packing the number of workers is not known beforehand, and the cores only feed the GPU: all share them.
        one = self.packing is not None or takes == "texts"
        cores = devices.share(devices.cores(), 1 if one else self.workers, max(0, place))
        threads = 1 if takes == "texts" else chosen_threads() or len(cores)
        on_cpu = takes == "texts" or self.without_gpu == "everything"
        log = job.run_folder.worker_log(self._named(index))
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as errors:
            process = subprocess.Popen(
                # With -P the current folder is not searched for modules: it may hold a datasets.py or a random.py.
                [sys.executable, "-P", "-m", self.module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env=worker_environment(threads, None if on_cpu else place),
                start_new_session=True,  # this process passes on the terminal's Ctrl-C itself
            )
        if not one and self.workers > 1 and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(process.pid, cores)
        seeded = index + zlib.crc32(self.name.encode())
        _tell(process.stdin, job.for_worker(seeded, threads, takes, "cpu" if on_cpu else None))
        return LocalWorker(index, process, log)

    def close(self) -> None:
        """Do nothing: worker processes end with the pipes that this process holds open."""


def local_engine(
    workers: int | None = None, per_device: int | None = None, module: str = WORKER, methods: Collection[str] = ()
) -> LocalEngine:
    """The engine for so many workers or, where no number is given, for as many as the GPUs have room for.

    Where there are GPUs, methods that read the texts alone are fitted by one more worker, which sees none. Where there
    is no other method, no worker sees one.

    Args:
        workers: the number of workers beside that one; default `per_device` for each GPU, or for the CPU where there
            is no GPU.
        per_device: default 1 for the CPU; on GPUs one, and more as soon as they are seen to have room for them.
        module: the module that a worker process runs.
        methods: the names of the methods that are trained; none if that is not known.
    """
    gpus, cores = devices.gpus(), len(devices.cores())
    without_gpu = needs_no_gpu(methods) if gpus else "nothing"
    if without_gpu == "everything":
        return LocalEngine(workers or per_device or 1, None, module, without_gpu)
    free = cores - (without_gpu == "texts")
    packing = None if workers or per_device or not gpus else GpuPacking(gpus, free, devices.gpu_usage)
    return LocalEngine(workers or devices.default_workers(per_device or 1), packing, module, without_gpu)


def needs_no_gpu(methods: Collection[str]) -> WithoutGpu:
    """Which of these methods are trained without a GPU, where there is one."""
    texts = sum(method in TEXT_METHODS for method in methods)
    return "nothing" if not texts else "everything" if texts == len(methods) else "texts"


def engine_of(wanted: Wanted) -> LocalEngine:
    """The engine that a user asks for.

    Raises:
        UserError: what is asked for is another engine's.
    """
    if wanted.gpus_per_worker is not None or wanted.address is not None:
        raise UserError("--gpus-per-worker and --address are for --engine ray; here, --workers-per-device shares a GPU")
    return local_engine(wanted.workers, wanted.per_device, wanted.module, wanted.methods)


def single_worker(methods: Collection[str], module: str = WORKER) -> LocalEngine:
    """The engine of one worker on one device, and of one for methods that read the texts alone where that is a GPU.

    Many of them may work on one search: each is known by its machine and process.

    Args:
        methods: the names of the methods that are trained.
        module: the module that the worker process runs.
    """
    name = re.sub(r"[^\w.-]", "-", f"{socket.gethostname()}-{os.getpid()}")
    return replace(local_engine(1, module=module, methods=methods), name=name)


def takes_at(index: int, without_gpu: WithoutGpu) -> Takes:
    """What the worker at a place takes in an engine with GPUs, or with none."""
    if without_gpu != "texts":
        return "all"
    return "encoders" if index else "texts"


def chosen_threads() -> int | None:
    """The CPU threads of each worker that the user has chosen with OMP_NUM_THREADS; None if that is not a number."""
    chosen = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # `4,2` has 4 at the outermost level
    return int(chosen) if chosen.isdecimal() and int(chosen) > 0 else None


def worker_environment(threads: int, index: int | None) -> dict[str, str]:
    """The environment variables of a worker.

    Args:
        threads: how many CPU threads it computes with.
        index: its place among the workers to which the GPUs are dealt out; None for a worker that sees none.
    """
    variables = {
        # Threads that spin while they wait for each other lose whole time slices as soon as another process wants a
        # core: an epoch of 37 s took 159 s. Waiting without spinning costs an idle machine next to nothing.
        # And it takes no processor time, which is the clock of a trial.
        "OMP_WAIT_POLICY": "PASSIVE",
        # glibc maps each block above 32 MiB anew, and the kernel clears its pages when they are first touched: in each
        # step for the gradient of an embedding matrix. With such blocks kept in the heap, full fine-tuning of MiniLM
        # takes 10 to 13 % less time.
        "MALLOC_MMAP_MAX_": "0",
        "MALLOC_TRIM_THRESHOLD_": str(1 << 33),
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": os.environ.get("MKL_NUM_THREADS", str(threads)),
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8:backslashreplace",  # the pipes and the log are the same in every locale
    }
    gpus = devices.gpus()
    if index is None:
        variables["CUDA_VISIBLE_DEVICES"] = ""
    elif gpus:
        if "CUDA_VISIBLE_DEVICES" not in os.environ:
            variables["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # NVML's order; CUDA's own begins with the fastest
        variables["CUDA_VISIBLE_DEVICES"] = gpus[index % len(gpus)]
    return variables


def _tell(stdin: IO[str] | None, job: Job) -> None:
    assert stdin is not None
    try:
        stdin.write(job.to_line())
        stdin.flush()
    except BrokenPipeError:
        return  # the worker has died already, which the next poll shows


def _log_end(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-LOG_LINES:]) or "nothing"
