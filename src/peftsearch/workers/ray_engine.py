"""The engine of a Ray cluster: each worker is a process that an actor starts on some node and watches over.

Ray finds the places, shares GPUs out, and notices when a node is lost. What a trial is, and how many there are, stays
in the storage; so an actor only starts one local worker (`workers/local.py`) and passes on what is asked of it. It can
answer while the worker trains, even if that hangs, because the worker is a process of its own.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peftsearch.core.errors import UserError, one_line
from peftsearch.storage.liveness.worker_identity import host
from peftsearch.storage.takes import Takes
from peftsearch.workers.engine import Ended, Wanted
from peftsearch.workers.job import Job, WorkerReport
from peftsearch.workers.local import LocalEngine, LocalWorker, WithoutGpu, chosen_threads, needs_no_gpu, takes_at

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

POLL_SECONDS = 0.2

PASSED_ON = ("HF_", "TRANSFORMERS_", "PEFTSEARCH_")
"""How the variables of the environment begin that workers have in common with the driver. Ray passes on none."""

AT_ONCE = 4
"""How many calls an actor answers at once: one waits for the worker's end, the others are short."""


class Actor:
    """Starts the worker process on its node when Ray makes it, and is the supervisor's hand there."""

    def __init__(self, line: str, folder: str, module: str, without_gpu: WithoutGpu, place: int) -> None:
        """Start the worker.

        Args:
            line: the job, as `Job.to_line` writes it.
            folder: the driver's working folder, from which a storage and a backbone may be named.
            module: what the worker process runs.
            without_gpu: what is trained without a GPU, as `LocalEngine` takes it.
            place: the worker's in such an engine.
        """
        job = Job.from_line(line)
        needed = (folder, str(Path(job.path).parent))
        self._missing = next((each for each in needed if not Path(each).is_dir()), "")
        self._worker: LocalWorker | None = None
        if not self._missing:
            os.chdir(folder)  # Ray starts actors in the folder in which their node was started
            self._worker = LocalEngine(1, None, module, without_gpu, name=str(job.index)).start(job, place)

    def identity(self) -> tuple[Mapping[str, Any] | None, str]:
        """The worker's identity, and the id of its node in Ray."""
        import ray

        known = self._worker.identity() if self._worker is not None else None
        return known, ray.get_runtime_context().get_node_id()

    def end(self) -> Ended:
        """How the worker has ended, once it has."""
        if self._worker is None:
            why = f"the folder {self._missing} is not on the machine {host().partition('/')[0]}"
            return Ended(WorkerReport.refused(UserError(f"{why}; --engine ray needs a folder that all nodes share")))
        while (ended := self._worker.poll()) is None:
            time.sleep(POLL_SECONDS)
        return ended

    def interrupt(self) -> None:
        """Pass on the request to end."""
        if self._worker is not None:
            self._worker.interrupt()

    def kill(self) -> None:
        """End the worker at once."""
        if self._worker is not None:
            self._worker.kill()


@dataclass
class RayWorker:
    """The driver's side of an actor; none of its calls waits for it.

    Attributes:
        actor: it may wait for a place.
        end: what `Actor.end` will return.
        named: what `Actor.identity` will return, as soon as the actor has a place.
    """

    index: int
    actor: ActorHandle[Actor]
    end: ObjectRef[Ended]
    named: ObjectRef[tuple[Mapping[str, Any] | None, str]]
    _identity: Mapping[str, Any] | None = None
    _node: str = ""
    _ended: Ended | None = None

    def identity(self) -> Mapping[str, Any] | None:
        import ray

        if not self._node and _is_ready(self.named):
            try:
                self._identity, self._node = ray.get(self.named)
            except ray.exceptions.RayError:
                return None  # it ended before it had a name; `poll` tells how
        return self._identity

    def poll(self) -> Ended | None:
        import ray

        self.identity()
        if self._ended is None and _is_ready(self.end):
            try:
                self._ended = ray.get(self.end)
            except ray.exceptions.RayError as error:
                self._ended = self._without_a_word(error)
            ray.kill(self.actor)  # its place is free for another one
        return self._ended

    def interrupt(self) -> None:
        if self.identity() is None:
            self._end_before_it_began()
        else:
            self.actor.interrupt.remote()

    def kill(self) -> None:
        if self.identity() is None:
            self._end_before_it_began()
        elif self.poll() is None:
            self.actor.kill.remote()

    def _end_before_it_began(self) -> None:
        import ray

        if self.poll() is None:
            ray.kill(self.actor)
            self._ended = Ended(WorkerReport("interrupted"))

    def _without_a_word(self, error: Exception) -> Ended:
        """How an actor ended of which Ray alone knows. The last line of what Ray says is the cause."""
        cause = one_line(str(error).strip().rpartition("\n")[2])
        if getattr(error, "actor_init_failed", False):
            why = f"a node of the Ray cluster cannot start a worker ({cause})"
            needed = "every node needs the packages of this machine and a folder that it can write"
            return Ended(WorkerReport.refused(UserError(f"{why}; {needed}")))
        return Ended(None, "its actor ended without a word", "Ray's", cause, lost=self._is_lost(error))

    def _is_lost(self, error: Exception) -> bool:
        """Whether the machine went away, or was taken away, rather than the process."""
        import ray

        alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
        return bool(getattr(error, "preempted", False) or (self._node and self._node not in alive))


@dataclass
class RayEngine:
    """As many actors as are wanted, spread over the nodes; those without a place wait for one.

    Where they have GPUs, methods that read the texts alone are fitted by one more, at the place 0, which has none.

    Args:
        workers: how many, beside that one.
        threads: how many CPU cores each gets, and with how many threads it computes.
        gpus: how much of a GPU each gets.
        module: the module that a worker process runs.
        without_gpu: what is trained without a GPU, as `LocalEngine` takes it.
    """

    workers: int
    threads: int = 1
    gpus: float = 0.0
    module: str = Wanted.module
    without_gpu: WithoutGpu = "everything"
    _remote: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        import ray

        # A worker that dies is started anew by the supervisor, which knows why it died.
        how = {"max_restarts": 0, "max_concurrency": AT_ONCE}
        self._remote = ray.remote(scheduling_strategy="SPREAD", **how)(Actor)

    def capacity(self, holding: int, training: int) -> int:
        return self.workers + (self.without_gpu == "texts")

    def takes(self, index: int) -> Takes:
        return takes_at(index, self.without_gpu)

    def start(self, job: Job, index: int) -> RayWorker:
        """Ask for an actor.

        Raises:
            UserError: the nodes are several machines, and the storage is for one.
        """
        import ray

        machines = {node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
        if len(machines) > 1 and job.storage.startswith("sqlite"):
            raise UserError(
                f"the Ray cluster has {len(machines)} machines, and SQLite is for one; name a database that all of them"
                " reach, as in --storage postgresql+psycopg://user@host/name"
            )
        texts = self.takes(index) == "texts"
        threads, gpus = (1, 0.0) if texts else (self.threads, self.gpus)
        line = job.for_worker(index, threads).to_line()
        shared = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
        shared["OMP_NUM_THREADS"] = str(threads)  # else a node's own value counts
        remote = self._remote.options(num_cpus=threads, num_gpus=gpus, runtime_env={"env_vars": shared})
        place = int(self.without_gpu == "texts" and not texts)
        actor = remote.remote(line, str(Path.cwd()), self.module, self.without_gpu, place)
        return RayWorker(index, actor, actor.end.remote(), actor.identity.remote())

    def close(self) -> None:
        """Leave the cluster, whose actors for this process then end."""
        import ray

        ray.shutdown()


def engine_of(wanted: Wanted) -> RayEngine:
    """Join a cluster, or begin one of this machine alone.

    Raises:
        UserError: Ray is not installed, there is no such cluster, or what is asked for is another engine's.
    """
    if wanted.per_device is not None:
        raise UserError("--workers-per-device is for --engine local; here, --gpus-per-worker 0.5 puts two on each GPU")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that is begun here tells nobody about it
    try:
        import ray
    except ImportError:
        raise UserError("--engine ray: Ray is not installed; pip install 'peftsearch[ray]'") from None
    try:
        ray.init(address=wanted.address, logging_level="ERROR", log_to_driver=False, ignore_reinit_error=True)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        named = f"--address {wanted.address}" if wanted.address else "--engine ray"
        raise UserError(f"{named}: cannot join the Ray cluster ({one_line(error)})") from None
    has = ray.cluster_resources()
    gpus = wanted.gpus_per_worker if wanted.gpus_per_worker is not None else float(has.get("GPU", 0) > 0)
    without_gpu = needs_no_gpu(wanted.methods) if gpus else "everything"
    gpus, threads = 0.0 if without_gpu == "everything" else gpus, chosen_threads() or 1
    places = int(min(has.get("CPU", 0) / threads, has.get("GPU", 0) / gpus if gpus else math.inf))
    workers = wanted.workers or max(1, places)
    if workers > places:
        each = ("a CPU core" if threads == 1 else f"{threads} CPU cores") + (f" and {gpus:g} of a GPU" if gpus else "")
        wanted.say(f"the Ray cluster has places for {places} of {workers} workers, with {each} each; the rest wait")
    return RayEngine(workers, threads, gpus, wanted.module, without_gpu)


def _is_ready(result: ObjectRef[Any]) -> bool:
    import ray

    return bool(ray.wait([result], timeout=0)[0])
