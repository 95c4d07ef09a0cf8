"""Imports transformers without scikit-learn, which only a way of generating text needs there."""

from __future__ import annotations

import sys


def import_transformers() -> None:
    """Import transformers, which finds no scikit-learn meanwhile; it can be imported afterwards.

    transformers 4.57 imports `sklearn.metrics`, and with it SciPy and pandas, for assisted generation as soon as any
    model class is imported: 1.6 of 4.9 seconds. This is for a process of our own that labels texts. In another one it
    would change what `transformers.utils.is_sklearn_available` says there.
    """
    if {"transformers", "sklearn"} & set(sys.modules):
        return
    # With None in its place, Python's import system neither finds nor imports a module.
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        import transformers  # noqa: F401  for what it looks for when it is first imported
    finally:
        del sys.modules["sklearn"]
