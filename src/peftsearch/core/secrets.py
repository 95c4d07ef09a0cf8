"""Hides the passwords and signatures of URLs, wherever a URL is shown or kept."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

HARMLESS = frozenset({"download", "format", "lang", "page", "raw", "ref", "rev", "revision", "version", "year"})
"""Query parameters whose values are shown. Every service has its own name for a secret, so all others are hidden."""

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*(?:::[a-z0-9+.-]+)*)://(?P<rest>.*)", re.IGNORECASE | re.DOTALL)
_IN_TEXT = re.compile(r"[a-z][a-z0-9+.:-]*://[^\s'\"<>]+", re.IGNORECASE)
_HASHED = re.compile(r" \(secrets [0-9a-f]{6}\)$")


def hide_secrets(text: str) -> str:
    """`text` with the secrets of each URL in it hidden: passwords, query parameters and fragments.

    A URL ends at a blank or a quotation mark; use `hide_url` for a string that is one URL as a whole.

    >>> hide_secrets("cannot open https://host/rows.csv?raw=true&sig=abc (403)")
    'cannot open https://host/rows.csv?raw=true&sig=*** (403)'
    """
    return _IN_TEXT.sub(lambda found: hide_url(found.group()), text)


def hide_url(url: str) -> str:
    """A URL with its secrets hidden; any other text as it is.

    A password may hold what should have been escaped in it (`@`, `:`, `/`, `?`, `#`), so everything up to the last `@`
    counts as one if a colon stands in it, although that may hide a harmless part of a path too.

    >>> hide_url("postgresql+psycopg://u:top@se:cret@127.0.0.1/x?sslpassword=abc")
    'postgresql+psycopg://u:***@127.0.0.1/x?sslpassword=***'
    """
    found = _URL.fullmatch(url)
    if found is None:
        return url
    rest = found["rest"]
    before, at, after = rest.rpartition("@")
    user, colon, _ = before.partition(":")
    if at and colon and not rest.startswith("/"):
        rest, user = after, f"{user}:{HIDDEN}@"
    elif at and "/" not in before and "?" not in before and "#" not in before:
        rest, user = after, f"{HIDDEN if found['scheme'].lower().endswith(('http', 'https')) else before}@"
    else:
        user = ""
    rest, hash_sign, _ = rest.partition("#")
    place, question, query = rest.partition("?")
    fragment = f"#{HIDDEN}" if hash_sign else ""
    return f"{found['scheme']}://{user}{place}{question}{_hide_query(query)}{fragment}"


def hide_source(source: Any) -> Any:
    """A study's `data.source` to show or to keep: a path or a URL, or one of them by split."""
    if isinstance(source, Mapping):
        return {split: hide_source(one) for split, one in source.items()}
    return hide_url(source) if isinstance(source, str) else source


def hashed_url(text: str) -> str:
    """As `hide_url`, followed by a short hash of what is hidden, so that two URLs can still be told apart.

    What this function has returned is returned as it is.
    """
    hidden = hide_url(text)
    if hidden == text or _HASHED.search(text):
        return text
    return f"{hidden} (secrets {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:6]})"


def _hide_query(query: str) -> str:
    return "&".join(_hide_parameter(part) for part in re.split("[&;]", query)) if query else ""


def _hide_parameter(part: str) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        return HIDDEN if part else ""
    return part if name.lower() in HARMLESS and re.fullmatch(r"[\w.-]{0,20}", value) else f"{name}={HIDDEN}"
