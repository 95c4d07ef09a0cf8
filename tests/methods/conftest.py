"""One tiny model an architecture, saved once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from peftsearch.backbones.loading import ResolvedModel, resolve
from tests.helpers.tiny import tiny_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], ResolvedModel]:
    """An architecture → its tiny model."""

    @cache
    def saved(architecture: str) -> ResolvedModel:
        return resolve(str(tiny_model(tmp_path_factory.mktemp(architecture), architecture)))

    return saved
