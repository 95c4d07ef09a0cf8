"""A small table of methods that declare themselves and do nothing, and a study file over them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from peftsearch.core.dimensions import Choice, Fixed, Range
from peftsearch.methods.base import EncoderMethod, Method
from peftsearch.methods.hyperparameters import Hyperparameter, learning_rate
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.spec import StudySpec, parse_study
from peftsearch.study.yaml_file import parse_document


class Declared(EncoderMethod):
    """A method of which only the declaration is real."""

    summary = paper = ""

    def __init__(self, name: str, own: Mapping[str, Hyperparameter]) -> None:
        self.name, self.own = name, own

    def apply(self, encoder, settings):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def _parameter(default, valid) -> Hyperparameter:  # type: ignore[no-untyped-def]
    return Hyperparameter(default, valid, "")


TABLE: dict[str, Method] = {
    "full": Declared("full", {"learning_rate": learning_rate(1e-5, 1e-3)}),
    "lora": Declared(
        "lora",
        {
            "learning_rate": learning_rate(1e-4, 1e-2),
            "rank": _parameter(Choice((4, 8, 16, 32)), Range(1, 1024, integer=True)),
            "dropout": _parameter(Fixed(0.1), Range(0.0, 0.9)),
            "targets": _parameter(Fixed("query_value"), Choice(("query_value", "attention", "all"))),
        },
    ),
    "prefix": Declared(
        "prefix",
        {
            "learning_rate": learning_rate(1e-4, 1e-1),
            "virtual_tokens": _parameter(Range(4, 40, integer=True), Range(1, 200, integer=True)),
            "projection": _parameter(Fixed(False), Choice((True, False))),
        },
    ),
}

STUDY = """\
name: toy
data: {source: rows.csv, text: text, label: label}
backbones: [tiny]
methods:
  full: {learning_rate: {log: [1.0e-5, 1.0e-3]}}
  lora: {rank: [16, 4, 8], learning_rate: {log: [1.0e-4, 1.0e-2]}, targets: [query_value, all], batch_size: [8, 16]}
baselines:
  - {method: full, learning_rate: 2e-5}
"""


def study(text: str = STUDY, file: str = "toy.yaml") -> StudySpec:
    """The spec of a study file's text, over `TABLE`. Without a `search:` section it has no portfolio."""
    problems = Problems(file)
    if "\nmethods:" in text and "search:" not in text:
        text = f"{text.rstrip()}\nsearch: {{portfolio: false}}\n"
    return parse_study(parse_document(text, problems), Path(file), problems, TABLE)
