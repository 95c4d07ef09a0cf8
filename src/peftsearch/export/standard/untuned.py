"""Stands in an exported folder for a library of tuning methods where none is needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def tuned(encoder: nn.Module, adapter: Mapping[str, Any]) -> nn.Module:
    """The encoder as it is: what tuning has changed is in its own weights."""
    return encoder
