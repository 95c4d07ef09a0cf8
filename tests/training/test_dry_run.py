"""Counts from a config.json alone, and the matrix of methods on a backbone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from peftsearch.backbones.families import FAMILIES
from peftsearch.backbones.names import resolve, resolve_config_only
from peftsearch.core.config import TrainingConfig, TrialConfig
from peftsearch.core.errors import UserError
from peftsearch.methods.architectures import works_on
from peftsearch.methods.build import build_classifier, build_on_meta_device
from peftsearch.methods.table import ENCODER_METHODS
from peftsearch.training.dry_run import trainable_by_epoch, try_methods
from tests.helpers.tiny import tiny_model
from tests.helpers.tuning import settings_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("bert"))


@pytest.mark.parametrize("method", ENCODER_METHODS)
def test_an_outline_has_the_parameters_of_the_real_thing(folder, method):
    resolved, settings = resolve(str(folder)), settings_of(method)
    ENCODER_METHODS[method].check_supported(resolved, settings)
    real = build_classifier(resolved, ENCODER_METHODS[method], settings, 3)
    outlined = build_on_meta_device(resolved, ENCODER_METHODS[method], settings, 3)
    assert _shapes(outlined) == _shapes(real)
    assert all(p.is_meta for p in outlined.head.parameters())


def test_a_config_is_enough_and_counts_follow_the_epochs(folder, tmp_path):
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    resolved = resolve_config_only(str(tmp_path))
    with pytest.raises(UserError, match=r"holds no model\.safetensors"):
        resolve(str(tmp_path))
    training = TrainingConfig(epochs=4)
    config = TrialConfig(str(tmp_path), "unfreezing", settings_of("unfreezing", order="from_end"), training)
    first, second, third, fourth = trainable_by_epoch(config, resolved, 3)
    assert first < second < third == fourth
    lora = replace(config, method="lora", settings=settings_of("lora", initialization="pissa"))
    assert len(set(trainable_by_epoch(lora, resolved, 3))) == 1
    assert trainable_by_epoch(replace(config, method="none"), resolved, 3) == [0, 0, 0, 0]


@pytest.mark.parametrize("architecture", FAMILIES)
def test_the_matrix_of_an_architecture(tmp_path, architecture):
    found = {check.method: check for check in try_methods(resolve(str(tiny_model(tmp_path, architecture))))}
    assert list(found) == list(ENCODER_METHODS)
    works = {name: check for name, check in found.items() if not check.why}
    assert [name for name, check in works.items() if not check.trains] == []
    assert works["full"].parameters > works["probe"].parameters > works["none"].parameters == 0
    assert works["full"].merges
    assert works["lora"].merges
    assert not works["prompt"].merges
    assert json.dumps([check.why for check in found.values()])
    assert _documented(architecture) == {name: not check.why for name, check in found.items()}, (
        "run: python -m scripts.make_method_matrix"
    )
    assert {name: works_on(name)[1].get(architecture) for name in found} == {n: c.why for n, c in found.items()}


def _documented(architecture):
    """Method → whether docs/methods.md says that it works on an architecture."""
    page = (Path(__file__).parents[2] / "docs" / "methods.md").read_text().partition("## Which method works")[2]
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("|")]
    names, _, *rows = lines
    return {row[0].strip("`"): row[names.index(architecture)] == "yes" for row in rows}


def _shapes(classifier):
    return {name: tuple(p.shape) for name, p in classifier.named_parameters() if p.requires_grad}
