"""Lets only pages of the dashboard itself ask it for anything, since it has no password.

A page of another site can send requests to 127.0.0.1, and by DNS rebinding it can even read the answers. It cannot
choose the headers `Host`, `Origin` and `Sec-Fetch-Site` of such a request, which the browser writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD", "OPTIONS")

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
"""A WSGI application, see PEP 3333."""


def guarded(application: Application, port: int, allow_edit: bool = False) -> Application:
    """Return `application` behind a check of every request; a refused one is answered with 403 and one line.

    Args:
        application: the dashboard.
        port: on which it is served.
        allow_edit: whether the dashboard's own pages may change anything.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        why = refusal(environ, port, allow_edit)
        if why is None:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [f'{{"reason": "{why}"}}\n'.encode()]

    return answer


def refusal(environ: dict[str, Any], port: int, allow_edit: bool) -> str | None:
    """Why a request is refused, in one line; None if it is not."""
    hosts = [f"{name}:{port}" for name in LOOPBACK] + list(LOOPBACK) * (port == 80)
    if environ.get("HTTP_HOST", "").lower() not in hosts:
        return f"open the dashboard as http://{hosts[0]}"
    own = f"http://{environ['HTTP_HOST'].lower()}"
    if environ.get("REQUEST_METHOD") in READING:
        # The dashboard lets every site read artifacts; a page that could read an answer has to send its origin.
        foreign = environ.get("HTTP_ORIGIN", own).lower() != own
        return "only a page of the dashboard itself may read it" if foreign else None
    if not allow_edit:
        return "the dashboard changes nothing unless it is started with --allow-edit"
    if environ.get("HTTP_ORIGIN", "").lower() != own:
        return "only a page of the dashboard itself may change something"
    if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") != "same-origin":
        return "only a page of the dashboard itself may change something"
    return None
