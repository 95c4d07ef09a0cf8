"""The `methods:` section: the search space."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from peftsearch.core.dimensions import Dimension, Valid
from peftsearch.core.errors import nearest, shown
from peftsearch.methods.base import Method
from peftsearch.methods.hyperparameters import TRAINING
from peftsearch.study.conditions import complaint_if_inactive
from peftsearch.study.mistakes.keys import where_it_belongs
from peftsearch.study.mistakes.problems import Problems, Where
from peftsearch.study.sections import mapping
from peftsearch.study.values import read_dimension

Space = Mapping[str, Dimension]
"""One method's dimensions by name: its hyperparameters, and the fields of `training:` that the study searches."""


OTHER_NAMES: dict[str, str] = {
    **dict.fromkeys(("finetune", "finetuning", "fullfinetuning", "fullfinetune"), "full"),
    **dict.fromkeys(("linear", "linearprobe", "linearprobing", "head", "headonly"), "probe"),
    **dict.fromkeys(("freeze", "freezing", "layerfreezing"), "frozen"),
    **dict.fromkeys(("gradualunfreezing",), "unfreezing"),
    **dict.fromkeys(("adapter", "adapters", "bottleneck", "pfeiffer"), "seq_bn"),
    **dict.fromkeys(("houlsby",), "double_seq_bn"),
    **dict.fromkeys(("paralleladapter", "parallel"), "par_bn"),
    **dict.fromkeys(("logisticregression", "baseline"), "tfidf"),
}
"""What papers and other programs call methods, without - and _."""


def valid_values(method: Method) -> dict[str, Valid]:
    """The valid values of every dimension that a study may name under `method`."""
    own: dict[str, Valid] = {name: parameter.valid for name, parameter in method.hyperparameters.items()}
    return {**own, **TRAINING}


def read_methods(raw: Any, table: Mapping[str, Method], problems: Problems) -> dict[str, Space]:
    """The space of each method in the study. A hyperparameter that the study leaves out has the method's default."""
    if raw is not None and not isinstance(raw, Mapping):
        problems.add(("methods",), f"must be a mapping like {{probe: {{}}, lora: {{}}}}, but got {shown(raw)}")
        return {}
    section = mapping(raw, problems, ("methods",))
    if isinstance(raw, Mapping) and not raw:
        problems.add(("methods",), f"is empty; name at least one of {', '.join(sorted(table))}")
    spaces: dict[str, Space] = {}
    for name, dimensions in section.items():
        where: Where = ("methods", str(name))
        if name not in table:
            problems.add(where, f"no method {name!r}; {_nearest_method(str(name), table)}")
            continue
        spaces[name] = _space(mapping(dimensions, problems, where), table[name], problems, where)
    return spaces


def _nearest_method(name: str, table: Mapping[str, Method]) -> str:
    known = OTHER_NAMES.get(re.sub(r"[-_ ]", "", name.casefold()))
    return f"did you mean {known!r}?" if known in table else nearest(name, table)


def _space(raw: Mapping[str, Any], method: Method, problems: Problems, where: Where) -> Space:
    valid = valid_values(method)
    check_dimension_names(raw, method, problems, where)
    written = {name: read_dimension(raw[name], valid[name], problems, (*where, name)) for name in valid if name in raw}
    for name in written if not method.takes_steps else ():
        if name in TRAINING:
            problems.warn((*where, name), f"changes nothing: {method.name} is not trained in steps; leave it out")
    default = {name: parameter.default for name, parameter in method.hyperparameters.items()}
    space = {**default, **{name: dimension for name, dimension in written.items() if dimension}}
    for name in written if None not in written.values() else ():
        inactive = complaint_if_inactive(method, name, space)
        if inactive:
            problems.add((*where, name), inactive)
    return space


def check_dimension_names(raw: Mapping[str, Any], method: Method, problems: Problems, where: Where) -> None:
    """A problem for each key of `raw`, written under `method`, that is no dimension of the method."""
    valid = valid_values(method)
    for key in raw:
        if key not in valid:
            problems.add(
                (*where, str(key)),
                f"{method.name} has no dimension {key!r}; {where_it_belongs(str(key), valid, where)}",
            )
