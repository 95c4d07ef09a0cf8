"""What a wheel of the package holds."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import setuptools
from setuptools.command.build_py import build_py

from peftsearch.study.catalogue import folders

ROOT = Path(__file__).parents[1]


@pytest.fixture
def build(monkeypatch) -> build_py:
    """The command that copies modules and data into a wheel, as setup.py and pyproject.toml configure it."""
    monkeypatch.chdir(ROOT)
    given: dict[str, object] = {}
    monkeypatch.setattr(setuptools, "setup", lambda **keywords: given.update(keywords))
    runpy.run_path("setup.py")
    distribution = setuptools.Distribution(given)
    distribution.parse_config_files(["pyproject.toml"])
    distribution.include_package_data = False  # it would write a list of files beside the sources
    command = build_py(distribution)
    command.finalize_options()
    return command


def test_every_study_is_in_the_wheel(build):
    data = {package: files for package, _, _, files in build.data_files}
    assert sorted(data["peftsearch.studies"]) == sorted(path.name for path in (ROOT / "studies").glob("*.yaml"))


def test_every_package_is_in_the_wheel(build):
    sources = {path.parent for path in (ROOT / "src").rglob("*.py")}
    assert {str(path.relative_to(ROOT / "src")).replace("/", ".") for path in sources} <= set(build.packages)


def test_a_checkout_reads_the_studies_of_its_own_top_level_folder():
    assert folders()[-1] == ROOT / "studies"
