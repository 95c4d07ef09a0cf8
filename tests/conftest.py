"""Fixtures that tests of several packages use."""

from tests.helpers.search import search

__all__ = ["search"]
