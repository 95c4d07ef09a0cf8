"""A small Ray cluster on this machine, whose nodes can be taken away."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import pytest

from tests.helpers.search import FAKE_WORKER

STARTS = 5

OBJECT_STORE = 80 * 1024**2
"""Bytes; the least that Ray takes is 75 MiB."""

SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}


@dataclass
class Nodes:
    """A head with a place for one worker, and any number of other nodes with a place for one each."""

    cluster: Any

    @property
    def address(self) -> str:
        address: str = self.cluster.address
        return address

    def add(self, cpus: int = 1, gpus: int = 0) -> Any:
        """Add a node; Ray takes its word for GPUs."""
        has = {"num_cpus": cpus, "num_gpus": gpus, "object_store_memory": OBJECT_STORE}
        return patiently(lambda: self.cluster.add_node(**has))

    def lose(self, node: Any) -> None:
        self.cluster.remove_node(node, allow_graceful=False)

    def engine(self, workers: int, module: str = FAKE_WORKER, **wanted: Any) -> Any:
        """An engine of this cluster, whose workers train nothing."""
        from peftsearch.workers.engine import Wanted
        from peftsearch.workers.ray_engine import engine_of

        return engine_of(Wanted(workers, address=self.address, module=module, **wanted))


def patiently(start: Callable[[], Any]) -> Any:
    """Start a node. Ray gives it 30 s, which is in its code and too short where many processes want the same core."""
    for _ in range(STARTS - 1):
        with suppress(Exception):  # Ray raises no other type
            return start()
    return start()


def missing() -> str | None:
    """What must be installed for a cluster to run here; None if nothing."""
    return "Ray is not installed; pip install 'peftsearch[ray]'" if find_spec("ray") is None else None


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    """A cluster of one node, once for all tests of a module."""
    if reason := missing():
        pytest.skip(reason)
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    import ray
    from ray.cluster_utils import Cluster

    from peftsearch.workers import ray_engine

    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE, "_system_config": SOON}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_engine, "PASSED_ON", ("FAKE_", "PYTHONPATH"))
        patch.setenv("OMP_NUM_THREADS", "1")  # each worker has a place with one core
        yield Nodes(cluster)
    ray.shutdown()
    cluster.shutdown()
