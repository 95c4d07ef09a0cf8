"""What `check` says of the trials with which a search begins."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from peftsearch.data.describe import Description
from peftsearch.report.study_preview import study_preview, study_preview_json
from peftsearch.study.spec import StudySpec, load_study

DESCRIBED = Description(
    rows={"train": 2},
    classes={"train": {"a": 1, "b": 1}, "validation": {"a": 1, "b": 1}},
    characters={50: 8, 100: 9},
    examples=(),
    fingerprint="f",
    notes=(),
)
METHODS = "{tfidf: {}, probe: {}, full: {}}"
IN_ORDER = ", in this order: tfidf, probe, full"


def study(folder: Path, more: str, methods: str = METHODS) -> StudySpec:
    file = folder / "toy.yaml"
    file.write_text(
        f"name: toy\ndata: {{source: wordnet-nouns}}\nbackbones: [tiny]\nmethods: {methods}\n{more}\n", encoding="utf-8"
    )
    return load_study(str(file))


def last_line(spec: StudySpec) -> str:
    console = Console(width=300, highlight=False)
    with console.capture() as captured:
        console.print(*study_preview(spec, DESCRIBED, {}), sep="\n")
    return captured.get().splitlines()[-1]


@pytest.mark.parametrize(
    ("more", "methods", "said"),
    [
        ("search: {portfolio: false}", METHODS, f"3 methods without a baseline at their default settings{IN_ORDER}"),
        (
            "",
            METHODS,
            f"3 methods without a baseline at their default settings{IN_ORDER}; then 2 configurations of probe that did"
            " well on recorded learning curves",
        ),
        (
            "baselines: [{method: full, learning_rate: 2e-5}, {method: full, learning_rate: 5e-5}]",
            METHODS,
            "2 baselines of the study, and 2 methods without a baseline at their default settings, in this order:"
            " tfidf, probe, full; then 2 configurations of probe that did well on recorded learning curves",
        ),
        (
            "",
            "{lora: {}}",
            "1 method without a baseline at its default settings; then 1 configuration of lora that did well on"
            " recorded learning curves",
        ),
        (
            "",
            "{probe: {}, lora: {}, seq_bn: {}, full: {}, tfidf: {}}",
            "5 methods without a baseline at their default settings, in this order: tfidf, probe, lora, seq_bn, full;"
            " then 3 configurations of probe and seq_bn that did well on recorded learning curves",
        ),
    ],
)
def test_it_says_what_is_tried_first_and_why(tmp_path: Path, more: str, methods: str, said: str) -> None:
    assert last_line(study(tmp_path, more, methods)) == f"tried first: {said}"


def test_programs_are_told_which_are_learnt(tmp_path: Path) -> None:
    spec = study(tmp_path, "baselines: [{method: full, learning_rate: 2e-5}]")
    found = study_preview_json(spec, DESCRIBED, {})["baselines"]
    assert [(b["method"], b["written"], b["learnt"]) for b in found] == [
        ("tfidf", False, False), ("probe", False, False), ("full", True, False),
        ("probe", False, True), ("probe", False, True),
    ]  # fmt: skip
