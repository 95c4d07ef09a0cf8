"""Only pages of the dashboard itself may ask it for anything, and they change nothing unless that is switched on."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from optuna_dashboard import wsgi

from peftsearch.report.dashboard import serve as dashboard
from peftsearch.report.dashboard.artifacts import TrialArtifacts
from peftsearch.report.dashboard.guard import Application, guarded
from peftsearch.results.stored_study import StoredStudy, open_stored
from tests.helpers.records import complete, store

PORT = 8080
OWN = f"127.0.0.1:{PORT}"
OURS = {"HTTP_HOST": OWN, "HTTP_ORIGIN": f"http://{OWN}", "HTTP_SEC_FETCH_SITE": "same-origin"}
CHANGING = ("POST", "PUT", "DELETE", "PATCH", "PROPFIND", "post", "delete")
FOREIGN_HOSTS = (
    "evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", f"127.0.0.1:{PORT}.evil.example",
    f"127.0.0.1.evil.example:{PORT}", f"evil.example@127.0.0.1:{PORT}", f"0.0.0.0:{PORT}", 
    f"127.0.0.1:{PORT},evil.example", f"localhost.:{PORT}", f"[::]:{PORT}", "", f" {OWN}", f"192.168.0.1:{PORT}",
)  # fmt: skip
FOREIGN_ORIGINS: tuple[dict[str, str | None], ...] = (
    {"HTTP_ORIGIN": "http://evil.example"},
    {"HTTP_ORIGIN": "null"},
    {"HTTP_ORIGIN": None},
    {"HTTP_ORIGIN": f"https://{OWN}"},
    {"HTTP_ORIGIN": "http://127.0.0.1:3000"},
    {"HTTP_ORIGIN": f"http://localhost:{PORT}"},
    {"HTTP_SEC_FETCH_SITE": "cross-site"},
    {"HTTP_SEC_FETCH_SITE": "same-site"},
    {"HTTP_SEC_FETCH_SITE": "none"},
)


def ask(application: Application, method: str, path: str = "/", **headers: str | None) -> tuple[str, bytes]:
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path}
    setup_testing_defaults(environ)
    environ |= {key: value for key, value in headers.items() if value is not None}
    status: list[str] = []
    body = b"".join(application(environ, lambda line, *_: status.append(line)))
    return status[0], body


def always(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    return iter([b"done"])


@pytest.mark.parametrize("allow_edit", [False, True])
@pytest.mark.parametrize("host", FOREIGN_HOSTS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_foreign_host_is_refused(method: str, host: str, allow_edit: bool) -> None:
    status, body = ask(guarded(always, PORT, allow_edit), method, **{**OURS, "HTTP_HOST": host})
    assert status == "403 Forbidden"
    assert body == b'{"reason": "open the dashboard as http://127.0.0.1:8080"}\n'


@pytest.mark.parametrize("host", [OWN, f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_this_machine_s_names_are_answered(host: str) -> None:
    assert ask(guarded(always, PORT), "GET", HTTP_HOST=host) == ("200 OK", b"done")
    headers = {"HTTP_HOST": host, "HTTP_ORIGIN": f"http://{host}"}
    assert ask(guarded(always, PORT, allow_edit=True), "PUT", **headers) == ("200 OK", b"done")


def test_port_80_needs_no_port_in_the_host() -> None:
    assert ask(guarded(always, 80), "GET", HTTP_HOST="127.0.0.1")[0] == "200 OK"


@pytest.mark.parametrize("method", CHANGING)
def test_nothing_is_changed_unless_that_is_switched_on(method: str) -> None:
    status, body = ask(guarded(always, PORT), method, **OURS)
    assert status == "403 Forbidden"
    assert json.loads(body) == {"reason": "the dashboard changes nothing unless it is started with --allow-edit"}
    assert ask(guarded(always, PORT, allow_edit=True), method, **OURS)[0] == "200 OK"


@pytest.mark.parametrize("foreign", FOREIGN_ORIGINS, ids=str)
@pytest.mark.parametrize("method", CHANGING)
def test_another_site_s_page_changes_nothing(method: str, foreign: dict[str, str | None]) -> None:
    status, body = ask(guarded(always, PORT, allow_edit=True), method, **{**OURS, **foreign})
    assert status == "403 Forbidden"
    assert json.loads(body) == {"reason": "only a page of the dashboard itself may change something"}


@pytest.mark.parametrize("allow_edit", [False, True])
@pytest.mark.parametrize("origin", ["http://evil.example", "null", f"https://{OWN}", f"http://localhost:{PORT}"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_another_site_s_page_reads_nothing(method: str, origin: str, allow_edit: bool) -> None:
    status, body = ask(guarded(always, PORT, allow_edit), method, HTTP_HOST=OWN, HTTP_ORIGIN=origin)
    assert status == "403 Forbidden"
    assert json.loads(body) == {"reason": "only a page of the dashboard itself may read it"}


@pytest.fixture
def stored(tmp_path: Path) -> StoredStudy:
    return open_stored("toy", store(tmp_path, [complete(0, "lora", 0.9, 1000, 10.0)]))


def test_a_study_is_deleted_only_by_the_dashboard_s_own_page(stored: StoredStudy) -> None:
    studies = stored.storage.get_all_studies
    for allow_edit, headers in ((False, OURS), (True, {**OURS, "HTTP_HOST": "evil.example"})):
        assert (
            ask(guarded(wsgi(stored.storage), PORT, allow_edit), "DELETE", "/api/studies/1", **headers)[0][:3] == "403"
        )
        assert len(studies()) == 1
    assert ask(guarded(wsgi(stored.storage), PORT), "GET", "/api/studies", **OURS)[0] == "200 OK"
    assert ask(guarded(wsgi(stored.storage), PORT, True), "DELETE", "/api/studies/1", **OURS)[0] == "204 No Content"
    assert studies() == []


def test_after_its_study_is_deleted_the_refreshing_ends_with_one_line(
    stored: StoredStudy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dashboard, "REFRESH_SECONDS", 0.0)
    artifacts = TrialArtifacts(stored)
    stored.storage.delete_study(1)
    with caplog.at_level(logging.WARNING):
        thread = threading.Thread(target=dashboard._keep_decorating, args=(stored, artifacts))
        thread.start()
        thread.join(timeout=30)
    assert not thread.is_alive()
    assert caplog.messages == ["the study toy is no longer in the storage; its figures are not refreshed"]
