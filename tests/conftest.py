"""Fixtures that tests of several packages use."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from peftsearch.core.calls.precedence import CACHE_VARIABLE
from peftsearch.export import proof
from peftsearch.export.standard.fresh_process import logits
from tests.helpers.hub import hub
from tests.helpers.postgres import postgres_server, postgres_url
from tests.helpers.search import search

__all__ = ["hub", "postgres_server", "postgres_url", "search"]


@pytest.fixture(autouse=True)
def proofs_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports are proven, by the same code, in the tests' own process, whose imports take no seconds any more.

    Tests marked `fresh_process` prove them as peftsearch does.
    """

    def here(jobs: Sequence[Mapping[str, Any]]) -> list[Any]:
        found = []
        for job in jobs:
            scope: dict[str, Any] = {}
            exec(job["loader"], scope)
            found.append(logits(scope["classify"], dict(job)))
        return found

    if "fresh_process" not in request.keywords:
        monkeypatch.setattr(proof, "fresh_logits", here)


def pytest_make_parametrize_id(val: object) -> str | None:
    """A name without the bytes themselves: gzip writes the second into them, and pytest-xdist compares the names."""
    return "bytes" if isinstance(val, bytes) else None


def pytest_configure(config: pytest.Config) -> None:
    """What is prepared goes into a cache of this run: no test writes into the home, or finds there what it did not."""
    folder = tempfile.TemporaryDirectory(prefix="peftsearch-cache-", ignore_cleanup_errors=True)
    config.add_cleanup(folder.cleanup)
    os.environ[CACHE_VARIABLE] = folder.name
