"""A private PostgreSQL server, run with the system's binaries and removed with the process that started it."""

from __future__ import annotations

import os
import pwd
import random
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import psutil
import pytest

PROGRAMS = ("initdb", "pg_ctl", "postgres")
DEBIAN = Path("/usr/lib/postgresql")
"""Debian keeps these programs out of PATH, in a folder for each version."""

PORTS = range(15_000, 32_000)
"""Below the ports that Linux gives to clients: a client of a stopped server could be given that server's port."""

SETTINGS = """
listen_addresses = '127.0.0.1'
fsync = off             # only a power cut would need it; a killed server loses nothing without
shared_buffers = 16MB
"""

_databases = count(1)


@dataclass
class Server:
    """A server of its own, with everything it writes in `folder`."""

    programs: Path
    folder: Path
    port: int = 0
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = f"test_{next(_databases)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def url(self, database: str, user: str = "peftsearch", password: str | None = None) -> str:
        from sqlalchemy.engine import URL

        url = URL.create("postgresql+psycopg", user, password or self.password, "127.0.0.1", self.port, database)
        return url.render_as_string(hide_password=False)

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement that runs outside of a transaction, as the server's superuser."""
        import psycopg

        with psycopg.connect(self.url("postgres").replace("+psycopg", "", 1), autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def create(self) -> None:
        """Make the cluster's files; `start` runs it."""
        words = self.folder / "password"
        words.write_text(self.password)
        self._run(
            "initdb", "--no-sync", "--locale=C", "--encoding=UTF8", "--auth=scram-sha-256", "--username=peftsearch",
            f"--pwfile={words}",
        )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as file:
            file.write(f"{SETTINGS}unix_socket_directories = '{self.folder}'\nport = {self.port}\n")

    def start(self) -> None:
        """Start it, or start it again; returns once it takes connections."""
        self._run("pg_ctl", "start", "--wait", f"--log={self.folder / 'log'}")

    def stop(self) -> None:
        """End it as an administrator would: the connections are cut, what was committed stays."""
        self._run("pg_ctl", "stop", "--wait", "--mode=fast")

    def kill(self) -> None:
        """End all of its processes at once, as a machine without memory does."""
        leader = psutil.Process(int((self.folder / "data" / "postmaster.pid").read_text().split()[0]))
        processes = [leader, *leader.children()]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self.programs / program, f"--pgdata={self.folder / 'data'}", *arguments],
            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=(self.folder / "output").open("w"),
            stderr=subprocess.STDOUT, **owner(),
        )  # fmt: skip
        if done.returncode:
            logs = [log.read_text() for name in ("output", "log") if (log := self.folder / name).exists()]
            raise RuntimeError(f"{program} ended with exit code {done.returncode}: {' '.join(logs)[-2000:]}")


@contextmanager
def running() -> Iterator[Server]:
    """A server that runs until the end of the block or of this process, however that ends."""
    found = programs()
    assert found is not None, missing()
    # Not in TMPDIR: the path of a socket is short, and the server's user may have to pass through root's folders.
    folder = Path(tempfile.mkdtemp(prefix="peftsearch-postgres-", dir="/tmp"))
    if owner():
        os.chown(folder, owner()["user"], owner()["group"])
    stop = [found / "pg_ctl", "stop", "--mode=immediate", f"--pgdata={folder / 'data'}"]
    # It waits for the end of its input, which comes even when this process is killed.
    guard = subprocess.Popen(
        ["sh", "-c", 'cat; "$@"; rm -rf "$0"', folder, *stop],
        cwd="/", stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        **owner(),
    )  # fmt: skip
    try:
        server = Server(found, folder, free_port())
        server.create()
        server.start()
        yield server
    finally:
        guard.communicate()
        if folder.exists():  # what this process wrote is not the server's user's to delete
            shutil.rmtree(folder)


def owner() -> dict[str, Any]:
    """For `subprocess`: the user to run as. The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def programs() -> Path | None:
    """The folder of the server's programs: what PATH says, or else Debian's newest."""
    on_path = shutil.which("pg_ctl")
    folders = [Path(on_path).resolve().parent] if on_path else []
    if config := shutil.which("pg_config"):
        said = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True).stdout
        folders.append(Path(said.strip()))
    folders += sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True)
    return next((folder for folder in folders if all((folder / name).exists() for name in PROGRAMS)), None)


def missing() -> str | None:
    """What must be installed for a server to run here; None if nothing."""
    if programs() is None:
        return "PostgreSQL is not installed; apt-get install postgresql, or brew install postgresql"
    if find_spec("psycopg") is None:
        return "the driver of PostgreSQL is not installed; pip install 'peftsearch[postgres]'"
    return None


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    for port in random.Random().sample(PORTS, 100):
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"a hundred ports of {PORTS} are taken")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """The server of all tests of this process; it starts with the first test that asks for it."""
    if reason := missing():
        pytest.skip(reason)
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Server) -> Callable[[], str]:
    """Makes an empty database, and returns its URL."""
    return postgres_server.new_database
