"""Machines whose packages have other versions than the first one's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from socket import gethostname

import optuna
import pytest
from optuna.study import Study

from peftsearch.core.errors import UserError
from peftsearch.core.versions import PACKAGES, installed_versions, other_versions
from peftsearch.storage.alike import packages
from peftsearch.storage.alike.packages import check_packages
from peftsearch.storage.database import open_storage, open_study
from tests.helpers.records import OBJECTIVES, complete, measurement, store

Install = Callable[..., None]
HERE = {"torch": "2.13.0+cpu", "transformers": "4.57.6", "numpy": "2.3.0"}


@pytest.fixture
def study() -> Study:
    return open_study(optuna.storages.InMemoryStorage(), "toy", OBJECTIVES)


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Makes this a machine with other versions."""

    def installed(**changes: str) -> None:
        monkeypatch.setattr(packages, "installed_versions", lambda: HERE | changes)

    installed()
    return installed


def refused(study: Study) -> str:
    with pytest.raises(UserError) as error:
        check_packages(study)
    return str(error.value)


def test_all_packages_that_decide_a_result_are_asked() -> None:
    assert installed_versions() == {name: version(name) for name in PACKAGES}
    assert installed_versions(("torch", "no-such-package")) == {"torch": version("torch")}


def test_a_version_that_only_one_tells_is_no_difference() -> None:
    assert other_versions({"torch": "2.13.0", "peft": "1"}, {"torch": "2.13.0+cpu", "numpy": "2"}) == {}


def test_the_first_machine_decides_and_its_build_does_not(study: Study, install: Install) -> None:
    assert check_packages(study) is None
    install(torch="2.13.0+cu128")
    assert check_packages(study) is None
    install(torch="2.12.1+cpu", transformers="4.57.1")
    assert refused(study) == (
        f"{gethostname()} has torch 2.12.1 and transformers 4.57.1, but the search was begun with torch 2.13.0 and "
        "transformers 4.57.6; install the same versions, or take both with --other-packages"
    )


def test_what_was_accepted_once_needs_no_second_word(study: Study, install: Install) -> None:
    check_packages(study)
    install(numpy="2.4.0")
    said = f"{gethostname()} has numpy 2.4.0, but the search was begun with numpy 2.3.0"
    assert check_packages(study, accept=True) == said
    assert check_packages(study) is None
    install(numpy="2.5.0")
    assert "numpy 2.5.0, but the search was begun with numpy 2.3.0" in refused(study)
    install()
    assert check_packages(study) is None


def test_a_study_of_an_earlier_version_has_the_versions_of_its_first_trials(tmp_path: Path, install: Install) -> None:
    measured = [{"scikit-learn": "1.7.0", "python": "3.11.7"}, {"torch": "2.13.0+cu128", "scikit-learn": "1.8.0"}, {}]
    trials = [
        replace(complete(number, "full", 0.8, 10, 1.0), measurement=measurement(versions=versions))
        for number, versions in enumerate(measured)
    ]
    study = open_study(open_storage(store(tmp_path, trials)), "toy", OBJECTIVES)
    install(torch="2.12.0")
    assert "has torch 2.12.0, but the search was begun with torch 2.13.0;" in refused(study)
    install(**{"scikit-learn": "1.8.0"})
    assert "scikit-learn 1.8.0, but the search was begun with scikit-learn 1.7.0;" in refused(study)
    install()
    assert check_packages(study) is None
    install(numpy="2.4.0")
    assert "numpy 2.4.0, but the search was begun with numpy 2.3.0;" in refused(study)
