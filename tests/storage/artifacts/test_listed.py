from __future__ import annotations

from pathlib import Path

import pytest

from peftsearch.storage.artifacts.listed import artifacts_of, removed_artifacts, write_late, write_removed
from peftsearch.storage.connection.looking import one_look
from peftsearch.storage.database import open_storage, open_study
from tests.helpers.stores import OBJECTIVES, Machine, begun_late, machine


@pytest.fixture
def here(tmp_path: Path) -> Machine:
    return machine(tmp_path, f"sqlite:///{tmp_path}/trials.db", tmp_path / "shared")


def test_machines_that_write_at_the_same_moment_overwrite_nothing(here: Machine, tmp_path: Path) -> None:
    there = open_study(open_storage(f"sqlite:///{tmp_path}/trials.db"), "toy", OBJECTIVES)
    first, second, third = (begun_late(here, point) for point in ("0", "1", "2"))
    with one_look():
        assert not any(one.whole for one in artifacts_of(here.study))
        assert write_late(there, third)
        write_removed(there, [first])
        write_removed(here.study, [second])
    assert [(one.id, one.whole) for one in artifacts_of(there)] == [(third, True)]
    assert removed_artifacts(there) == {first, second}


def test_the_lists_of_earlier_versions_are_read(here: Machine) -> None:
    removed, late, begun, gone = (begun_late(here, point) for point in ("0", "1", "2", "3"))
    here.study.set_user_attr("artifacts_removed", [removed])
    here.study.set_user_attr("artifacts_late", [late])
    write_removed(here.study, [gone])
    assert {one.id: (one.late, one.whole) for one in artifacts_of(here.study)} == {
        late: (True, True),
        begun: (True, False),
    }
    assert removed_artifacts(here.study) == {removed, gone}
