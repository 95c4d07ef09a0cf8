from pathlib import Path

import pytest

from peftsearch.data.cache import build_once, digest


def test_a_folder_is_built_once(tmp_path: Path) -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "x").write_text("done")

    for _ in range(2):
        assert (build_once(tmp_path / "made", build) / "x").read_text() == "done"
    assert len(built) == 1
    assert built[0] != tmp_path / "made", "nobody may see it half done"


def test_what_fails_or_is_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        build_once(tmp_path / "made", broken)
    assert not (tmp_path / "made").exists()
    (tmp_path / ".made.partial").mkdir()
    (tmp_path / ".made.partial" / "left by a killed process").touch()
    assert list(build_once(tmp_path / "made", lambda folder: None).iterdir()) == []


def test_a_digest_depends_on_every_part_but_not_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": 2}, 3) == digest({"b": 2, "a": 1}, 3) != digest({"a": 1, "b": 2}, 4)
