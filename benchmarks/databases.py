"""The databases that workers are measured against, each with the settings of a small server of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy.engine import make_url
from tests.helpers.postgres import Server, free_port, owner, running

KINDS = ("sqlite", "postgres", "pgbouncer")

SMALL_SERVER = {"fsync": "on", "shared_buffers": "'128MB'", "max_connections": "500"}
"""The tests' server does without fsync. 500 connections are for the measurement; PostgreSQL's default is 100."""

POOL = 20
"""The connections that pgbouncer has to the server."""


@dataclass
class Database:
    """A database without tables, and the processes that serve it.

    Attributes:
        url: what workers are told.
        server: None for SQLite, which is served by its clients.
        direct: the URL that leads to the server past the pool.
    """

    url: str
    server: Server | None = None
    direct: str = ""

    def processor_seconds(self) -> float:
        """The processor seconds that the living processes of the server have used; 0 for SQLite."""
        return sum(seconds_of(process.pid) for process in self._processes())

    def ended_seconds(self) -> float:
        """Those of the server's processes that have ended, as with the connections that they served."""
        times = [process.cpu_times() for process in self._processes()[:1]]
        return float(sum(one.children_user + one.children_system for one in times))

    def connections(self) -> int:
        """How many connections clients have to the server now."""
        if self.server is None:
            return 0
        return (
            int(
                self.server.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")[0][0]
            )
            - 1
        )

    def transactions(self) -> int:
        """How many transactions the server has committed or rolled back."""
        if self.server is None:
            return 0
        rows = self.server.execute("SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database")
        return int(rows[0][0])

    def _processes(self) -> list[psutil.Process]:
        if self.server is None:
            return []
        leader = psutil.Process(int((self.server.folder / "data" / "postmaster.pid").read_text().split()[0]))
        return [leader, *leader.children()]


def seconds_of(pid: int) -> float:
    """The processor seconds of a process's first thread to the nanosecond; `psutil` counts in hundredths."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    return 0.0


@contextmanager
def database(kind: str, folder: Path) -> Iterator[Database]:
    """A new database of this kind, which is gone after the block."""
    if kind == "sqlite":
        yield Database(f"sqlite:///{folder}/runs/storage.db")
        return
    with running() as server:
        for name, value in SMALL_SERVER.items():
            server.execute(f"ALTER SYSTEM SET {name} = {value}")
        server.stop()
        server.start()
        url = server.new_database()
        if kind == "postgres":
            yield Database(url, server, url)
            return
        with _pgbouncer(server, url) as port:
            pooled = make_url(url).set(port=port).render_as_string(hide_password=False)
            yield Database(pooled, server, url)


@contextmanager
def _pgbouncer(server: Server, url: str) -> Iterator[int]:
    """The port of a pgbouncer in transaction mode before `server`."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        raise SystemExit("pgbouncer is not installed; apt-get install pgbouncer")
    parsed, port, folder = make_url(url), free_port(), server.folder / "pgbouncer"
    folder.mkdir()
    (folder / "users").write_text(f'"{parsed.username}" "{parsed.password}"\n')
    (folder / "settings").write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
        f"pool_mode = transaction\ndefault_pool_size = {POOL}\nmax_client_conn = 2000\nlogfile = {folder / 'log'}\n"
    )
    if owner():
        for path in (folder, *folder.iterdir()):
            os.chown(path, owner()["user"], owner()["group"])
    process = subprocess.Popen([program, "-q", folder / "settings"], cwd="/", stderr=subprocess.DEVNULL, **owner())
    try:
        end = time.monotonic() + 10
        while socket.socket().connect_ex(("127.0.0.1", port)) and time.monotonic() < end:
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()
