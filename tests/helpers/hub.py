"""A server that speaks as much of the Hugging Face hub as an upload needs, and remembers what it was sent."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

TOKEN = "hf_secret0123456789"
"""What the server takes for a login."""

LARGE = 2_000
"""Bytes from which a file is sent by itself, and not within the commit."""


@dataclass
class Hub:
    """The state of the server.

    Attributes:
        files: repository → path → content.
        private: what was asked for each repository that was made.
        messages: of all commits.
        refuse: part of an address → the status with which requests there are refused.
    """

    endpoint: str = ""
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: dict[str, bool | None] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        content = self._body()
        assert hashlib.sha256(content).hexdigest() == self.path.rsplit("/", 1)[1]
        self.hub.large[self.path.rsplit("/", 1)[1]] = content
        self._answer(200, {})

    def do_POST(self) -> None:
        content = self._body()
        refused = next((status for part, status in self.hub.refuse.items() if part in self.path), None)
        if refused or self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(refused or 401, {"error": "No, for a reason\nof our own"})
        elif self.path == "/api/repos/create":
            self._create(json.loads(content))
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            files = [
                {"path": one["path"], "uploadMode": "lfs" if one["size"] > LARGE else "regular", "shouldIgnore": False}
                for one in json.loads(content)["files"]
            ]
            self._answer(200, {"files": files})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**one, "actions": {"upload": {"href": f"{self.hub.endpoint}/large/{one['oid']}"}}}
                for one in json.loads(content)["objects"]
            ]
            self._answer(200, {"transfer": "basic", "objects": objects})
        elif self.path.endswith("/commit/main"):
            self._commit(self.path.removeprefix("/api/models/").removesuffix("/commit/main"), content)
        else:
            self._answer(404, {"error": f"the hub's stand-in does not know {self.path}"})

    def _create(self, asked: dict[str, Any]) -> None:
        name = f"{asked['organization'] or 'ann'}/{asked['name']}"
        known = name in self.hub.files
        if not known:
            self.hub.files[name], self.hub.private[name] = {}, asked.get("private")
        self._answer(409 if known else 200, {"url": f"{self.hub.endpoint}/{name}"})

    def _commit(self, name: str, content: bytes) -> None:
        for line in map(json.loads, content.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                self.hub.messages.append(value["summary"])
            elif line["key"] == "file":
                self.hub.files[name][value["path"]] = base64.b64decode(value["content"])
            else:
                assert line["key"] == "lfsFile", "nothing else is asked for, and nothing deleted"
                self.hub.files[name][value["path"]] = self.hub.large[value["oid"]]
        self._answer(200, {"commitUrl": f"{self.hub.endpoint}/{name}/commit/abc", "commitOid": "abc"})

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers["Content-Length"]))

    def _answer(self, status: int, data: dict[str, Any]) -> None:
        content = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving() -> Iterator[Hub]:
    """A hub without repositories, at `endpoint` for as long as the block lasts."""
    hub = Hub()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub})) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that `huggingface_hub` takes for its own, with a login."""
    from huggingface_hub import constants

    with serving() as found:
        monkeypatch.setattr(constants, "ENDPOINT", found.endpoint)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield found
