"""Fixtures that tests of several packages use."""

from tests.helpers.postgres import postgres_server, postgres_url
from tests.helpers.search import search

__all__ = ["postgres_server", "postgres_url", "search"]
