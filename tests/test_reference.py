"""The generated pages of docs/reference: they are current, nothing is missing, and their examples are valid."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from scripts.make_reference import FOLDER, PAGES
from scripts.reference.schema import schema_of
from scripts.reference.study_file import EXAMPLE, WITH_KEYS

from peftsearch.cli import COMMANDS
from peftsearch.core.config import EarlyStopping, SearchConfig, TrainingConfig
from peftsearch.core.objectives import OBJECTIVES
from peftsearch.core.strategies import PRUNERS, SAMPLERS
from peftsearch.data.section import DataSection, Files, Limit, Splits
from peftsearch.methods.table import METHODS
from peftsearch.study.mistakes.keys import SECTIONS
from peftsearch.study.mistakes.problems import Problems
from peftsearch.study.sections import Backbone, Origin
from peftsearch.study.spec import load_study, parse_study
from peftsearch.study.values import RANGES
from peftsearch.study.yaml_file import parse_document

KEYS: dict[str, list[str]] = {
    "data": list(DataSection.model_fields),
    "data.files": list(Files.model_fields),
    "data.splits": list(Splits.model_fields),
    "data.limit": list(Limit.model_fields),
    "backbones": [each.name for each in fields(Backbone)],
    "training": [each.name for each in fields(TrainingConfig)],
    "training.early_stopping": [each.name for each in fields(EarlyStopping)],
    "search": [each.name for each in fields(SearchConfig)],
    "origin": [each.name for each in fields(Origin)],
}
"""The keys of each place of a study file, from its class."""


def written(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def section_of(page: str, heading: str) -> str:
    """What stands under a heading, up to the next one of any level."""
    found = re.search(rf"^##+ {re.escape(heading)}$(.*?)(?=^#|\Z)", page, re.M | re.S)
    assert found, f"no heading {heading!r}"
    return found[1]


@pytest.mark.parametrize("name", PAGES)
def test_a_generated_page_is_current(name: str) -> None:
    assert written(name) == PAGES[name](), "run: python -m scripts.make_reference"


def test_every_section_of_a_study_file_has_a_heading() -> None:
    headings = re.findall(r"^## (.+)$", written("study-file.md"), re.M)
    assert headings == list(SECTIONS)


def test_these_are_all_classes_of_the_study_file() -> None:
    assert {place for key, kind in WITH_KEYS.items() for place in schema_of(kind, key)} == set(KEYS)


@pytest.mark.parametrize("place", KEYS)
def test_every_key_says_what_it_is_and_has_an_example(place: str) -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \| `(.+)` \|$", section_of(written("study-file.md"), place), re.M
    )
    assert [row[0] for row in rows] == KEYS[place]


@pytest.mark.parametrize(("key", "table"), [("sampler", SAMPLERS), ("pruner", PRUNERS)])
def test_every_strategy_is_explained(key: str, table: dict[str, str]) -> None:
    row = re.search(rf"^\| `{key}` \| (.+?) \|", section_of(written("study-file.md"), "search"), re.M)
    assert row
    assert [name for name in table if f"`{name}`" not in row[1]] == []


def test_the_examples_together_are_a_valid_study() -> None:
    spec = load_study(EXAMPLE)
    assert spec.warnings == ()
    assert set(spec.document) == set(SECTIONS)


def yaml_blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", written("study-file.md"), re.M | re.S)


@pytest.mark.parametrize("block", yaml_blocks())
def test_every_example_is_valid(block: str) -> None:
    assert set(study_with(block)) <= set(SECTIONS)


def study_with(block: str) -> dict[str, Any]:
    """The keys of an example, which is read as a part of the study file with every key."""
    whole, part = (parse_document(text, Problems("x")) for text in (EXAMPLE.read_text(encoding="utf-8"), block))
    methods = {**whole["methods"], **part.get("methods", {})}
    assert parse_study({**whole, **part, "methods": methods}, EXAMPLE)
    return dict(part)


def test_every_form_of_a_dimension_is_valid() -> None:
    page = section_of(written("study-file.md"), "methods")
    forms = re.findall(r"^\| .+ \| `(\w+): (.+?)` \| .+ \|$", page, re.M)
    assert len(forms) == 2 + len(RANGES)
    for key, dimension in forms:
        method = next(name for name, method in METHODS.items() if key in method.hyperparameters)
        assert study_with(f"methods: {{{method}: {{{key}: {dimension}}}}}")


@pytest.mark.parametrize("name", METHODS)
def test_every_dimension_of_every_method_is_listed(name: str) -> None:
    listed = re.findall(r"^\| `(\w+)` \|", section_of(written("dimensions.md"), name), re.M)
    assert listed == list(METHODS[name].own)


def test_every_objective_is_listed() -> None:
    assert re.findall(r"^\| `(\w+)` \|", written("objectives.md"), re.M) == list(OBJECTIVES)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_every_command_is_listed(name: str) -> None:
    options = [option for option in COMMANDS[name].params if isinstance(option, click.Option)]
    listed = re.findall(r"^\| (?:`|<code>)(-.+?)(?:`|</code>) \| \w", section_of(written("commands.md"), name), re.M)
    assert len(listed) == len(options)
    for option, row in zip(options, listed, strict=True):
        assert set(option.opts) <= set(re.split(r"[ ,]+", row))


def test_every_page_of_the_reference_is_generated_or_lists_functions() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {*PAGES, "api.md"}


def test_no_file_of_the_site_is_left_out_of_its_contents() -> None:
    """mkdocs says it too, but only where it builds."""
    contents = (FOLDER.parents[1] / "mkdocs.yml").read_text(encoding="utf-8")
    named = re.findall(r": (\S+\.md)$", contents, re.M)
    docs: Path = FOLDER.parent
    assert sorted(named) == sorted(file.relative_to(docs).as_posix() for file in docs.rglob("*.md"))
    assert yaml.safe_load(contents)["strict"] is True
