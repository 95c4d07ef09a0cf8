"""What a wheel of the package holds, and what it requires."""

from __future__ import annotations

import ast
import re
import runpy
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import setuptools
from setuptools.command.build_py import build_py

from peftsearch.study.catalogue import folders
from peftsearch.tracking.table import TRACKERS

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


def normalised(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def declared() -> dict[str, str]:
    """Each dependency in pyproject.toml, and the comment behind it."""
    listed = re.search(r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M)
    assert listed
    lines = re.findall(r'^ +"([\w-]+)[^"]*",(?: +# (.+))?$', listed[1], re.M)
    assert len(lines) == listed[1].count("\n")
    return {normalised(name): comment for name, comment in lines}


def extras() -> set[str]:
    """The packages of the extras, which whoever needs them installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = {name: packages for name, packages in project["optional-dependencies"].items() if name != "test"}
    return {normalised(re.split(r"[\[<>=~]", package)[0]) for packages in lists.values() for package in packages}


def imported() -> set[str]:
    """The distributions of all third-party modules that the package imports, at the top of files and in functions."""
    modules: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules.add(str(node.module).partition(".")[0])
    ours = {"peftsearch"} | {tracker.package for tracker in TRACKERS.values()}  # those have extras of their own
    distributions = packages_distributions()  # without the extras that are not installed here
    return {normalised(distributions.get(name, [name])[0]) for name in modules - sys.stdlib_module_names - ours}


def test_every_import_is_declared():
    assert imported() - declared().keys() - extras() == set()


def test_a_dependency_that_is_not_imported_says_why_it_is_there():
    assert [name for name in declared().keys() - imported() if not declared()[name]] == []
