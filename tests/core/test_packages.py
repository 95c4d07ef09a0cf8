from __future__ import annotations

import sys
from pathlib import Path

import pytest

import peftsearch
from peftsearch.core.packages import NotInPackage, package_path

ROOT = Path(peftsearch.__file__).parent


def test_a_path_in_a_package():
    assert package_path("peftsearch/resources") == ROOT / "resources"
    assert package_path("peftsearch") == ROOT


def test_a_path_need_not_be_there():
    assert package_path("peftsearch/nothing.csv") == ROOT / "nothing.csv"


def test_a_package_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "carrier").mkdir()
    (tmp_path / "carrier" / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    assert package_path("carrier/rows.csv") == tmp_path / "carrier" / "rows.csv"
    assert "carrier" not in sys.modules


@pytest.mark.parametrize("name", ["no_such_package/x", "", "/x", "os.path/x", "../x", "json.decoder", "this/x"])
def test_what_is_no_package(name):
    assert package_path(name) is None


@pytest.mark.parametrize("name", ["peftsearch/../x", "peftsearch//etc", "peftsearch/resources/../../x"])
def test_a_path_never_leaves_its_package(name):
    with pytest.raises(NotInPackage, match=r"leads out of the package 'peftsearch'"):
        package_path(name)
