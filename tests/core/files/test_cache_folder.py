"""Where the cache lies, and who may read it."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from peftsearch.core.files.cache_folder import cache_folder, give_mode, make_inside, mode_below


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(autouse=True)
def nowhere_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PEFTSEARCH_CACHE", "PEFTSEARCH_RUNS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_it_is_the_user_s_unless_the_environment_names_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder().data == tmp_path / ".cache" / "peftsearch" / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder().root == tmp_path / "xdg" / "peftsearch"
    monkeypatch.setenv("PEFTSEARCH_CACHE", "shared")
    assert cache_folder().root == tmp_path / "shared", "workers in another folder mean the same one"
    monkeypatch.setenv("PEFTSEARCH_CACHE", "~/shared")
    assert cache_folder().precision == tmp_path / "shared" / "precision.json"


@pytest.mark.parametrize("home", ["/proc/nobody", "file"])
def test_without_a_home_it_lies_with_the_studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOME", str(tmp_path / home))
    assert cache_folder().root == tmp_path / "runs" / ".cache"


def test_a_new_cache_is_its_user_s_alone_wherever_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEFTSEARCH_CACHE", str(tmp_path / "deep" / "cache"))
    tmp_path.chmod(0o1777)  # as /tmp
    make_inside(cache_folder().data)
    assert [mode(tmp_path / "deep" / "cache"), mode(tmp_path / "deep" / "cache" / "data")] == [0o700, 0o700]


def test_a_study_s_folder_stays_as_others_are_and_its_texts_are_its_user_s_alone(tmp_path: Path) -> None:
    make_inside(tmp_path / "runs" / "toy" / "data")
    (tmp_path / "other").mkdir()
    assert mode(tmp_path / "runs" / "toy") == mode(tmp_path / "other")
    assert mode(tmp_path / "runs" / "toy" / "data") == 0o700


@pytest.mark.parametrize(
    ("cache", "folder", "file"),
    [(0o755, 0o700, 0o600), (0o750, 0o700, 0o600), (0o2775, 0o2770, 0o660), (0o1777, 0o777, 0o666)],
)
def test_whoever_may_write_into_the_cache_may_read_it_and_nobody_else(
    tmp_path: Path, cache: int, folder: int, file: int
) -> None:
    tmp_path.chmod(cache)
    make_inside(tmp_path / "data")
    assert mode(tmp_path / "data") == folder
    (made := tmp_path / "data" / "entry").mkdir(mode=0o700)
    (made / "texts").touch(mode=0o600)
    give_mode(made, mode_below(tmp_path / "data"))
    assert (mode(made), mode(made / "texts")) == (folder, file)
