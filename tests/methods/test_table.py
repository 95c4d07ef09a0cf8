"""Every entry of the tables of methods: a class in a file of its package, declared as `peftsearch methods` shows it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from scripts.make_method_matrix import method_rows, when_to_use

import peftsearch
from peftsearch.backbones.names import ResolvedModel
from peftsearch.methods.base import EncoderMethod, TextMethod
from peftsearch.methods.build import build_classifier
from peftsearch.methods.table import ENCODER_METHODS, METHODS, TEXT_METHODS
from tests.helpers.tuning import settings_of

DOCS = Path(__file__).parents[2] / "docs"

SOURCE = Path(peftsearch.__file__).parent


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_declared_in_a_file_of_the_package(name: str) -> None:
    method = METHODS[name]
    assert method.name == name
    assert method.summary
    assert re.fullmatch(r"\D+ \d{4}, https://\S+", method.paper)
    assert ("learning_rate" in method.own) == method.takes_steps
    assert inspect.getdoc(type(method)) != inspect.getdoc(type(method).__base__)
    assert Path(inspect.getfile(type(method))).is_relative_to(SOURCE / "methods")


def test_the_documentation_has_a_row_for_each_method() -> None:
    page = (DOCS / "methods.md").read_text(encoding="utf-8")
    assert "\n".join(method_rows()) in page, "run: python -m scripts.make_method_matrix"
    assert "\n".join(when_to_use()) in page, "run: python -m scripts.make_method_matrix"


@pytest.mark.parametrize("name", METHODS)
def test_when_to_use_a_method_is_said_with_figures_that_were_measured(name: str) -> None:
    """Every score and every number of parameters stands in the experiments, the scores there with a digit more."""
    said, experiments = METHODS[name].when, (DOCS / "experiments.md").read_text(encoding="utf-8")
    assert 1 <= len(re.findall(r"\.(?: |$)", said)) <= 3
    scores = re.findall(r"\b0\.\d{3}\b", said)
    assert scores
    known = {f"{float(found):.3f}" for found in re.findall(r"\b0\.\d{3,4}\b", experiments)}
    lost = {"probe": {"0.107"}}  # 0.8801 - 0.7730
    assert set(scores) - known <= lost.get(name, set())
    counts = re.findall(r"\b\d+,\d{3}\b", said.replace("1,500", ""))
    assert [count for count in counts if count not in experiments] == []


def test_each_table_has_the_methods_of_one_kind() -> None:
    assert all(isinstance(method, EncoderMethod) for method in ENCODER_METHODS.values())
    assert all(isinstance(method, TextMethod) for method in TEXT_METHODS.values())
    assert len(METHODS) == len(ENCODER_METHODS) + len(TEXT_METHODS)


def test_no_code_asks_what_kind_a_method_is() -> None:
    """The tables say it, and the methods themselves."""
    found = [f for f in SOURCE.rglob("*.py") if re.search(r"isinstance\([^)]*(Text|Encoder)Method", f.read_text())]
    assert found == []


def test_what_a_method_computes_follows_from_what_is_trained(tiny: Callable[[str], ResolvedModel]) -> None:
    """No gradient passes the encoder where a trial computes one pass or less; the weights' gradients cost one more."""
    for name, method in ENCODER_METHODS.items():
        settings = settings_of(name)
        encoder = build_classifier(tiny("bert"), method, settings, 3).encoder
        trained = any(parameter.requires_grad for parameter in encoder.parameters())
        assert trained == (method.passes(settings, 4) > 1), name
        assert not trained or method.passes(settings, 4) < method.passes(settings, 8) <= 3 * 8, name
    assert [method.passes({}, 8) for method in TEXT_METHODS.values()] == [0.0]


def test_what_frozen_layers_compute_is_less_the_more_are_frozen() -> None:
    passes = [ENCODER_METHODS["frozen"].passes({"frozen_layers": share}, 8) for share in (0.0, 0.25, 3, 0.5, 1.0)]
    assert passes == [25.0, 19.0, 13.0, 13.0, 1.0]
