"""docs/reference/dimensions.md: what each method can search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from scripts.reference.markdown import code, page, table

from peftsearch.core.config import SEARCHABLE_TRAINING
from peftsearch.core.dimensions import describe
from peftsearch.methods.hyperparameters import SHARED, Hyperparameter
from peftsearch.methods.table import METHODS
from peftsearch.study.values import in_words


def dimensions_page() -> str:
    """The whole page."""
    return page(
        "dimensions.md.jinja",
        shared=_table(SHARED),
        training=", ".join(map(code, SEARCHABLE_TRAINING)),
        methods=[(name, method, _table(method.own) if method.own else "") for name, method in METHODS.items()],
    )


def _table(dimensions: Mapping[str, Hyperparameter]) -> str:
    rows = ([code(name), *_row(dimension)] for name, dimension in dimensions.items())
    return table(["dimension", "what it is", "default", "valid"], rows)


def _row(dimension: Hyperparameter) -> Iterable[str]:
    when, condition = "", dimension.active_when
    if condition:
        when = f"; only with `{condition.parent}` {' or '.join(code(str(value)) for value in condition.values)}"
    return (dimension.summary + when, code(in_words(dimension.default)), code(describe(dimension.valid)))
