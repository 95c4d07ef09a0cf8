"""Fixtures that tests of several packages use."""

from tests.helpers.hub import hub
from tests.helpers.postgres import postgres_server, postgres_url
from tests.helpers.search import search

__all__ = ["hub", "postgres_server", "postgres_url", "search"]


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name without the bytes themselves: gzip writes the second into them, and pytest-xdist compares the names."""
    return "bytes" if isinstance(val, bytes) else None
