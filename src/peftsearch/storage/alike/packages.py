"""Refuses a machine whose packages would measure something else, unless that is wanted."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.core.versions import PACKAGES, installed_versions, other_versions
from peftsearch.storage.records import ended_records

if TYPE_CHECKING:
    from optuna.study import Study

VERSIONS = "package_versions"
"""A list: package → version where the search was begun, then of each other machine that was accepted."""


def check_packages(study: Study, accept: bool = False) -> str | None:
    """Refuse this machine if none with its versions may train trials of the study; the first one is noted.

    Args:
        accept: whether to note its versions beside the others, if they are not yet.

    Returns:
        What differs, if that was accepted now.

    Raises:
        UserError: says what differs.
    """
    words = other_packages(study)
    if words is not None and not accept:
        raise UserError(f"{words}; install the same versions, or take both with --other-packages")
    noted = study.user_attrs.get(VERSIONS, [])
    if words is not None:
        study.set_user_attr(VERSIONS, [*(noted or _of_first_trials(study)), installed_versions()])
    elif not noted:
        study.set_user_attr(VERSIONS, [installed_versions()])
    return words


def other_packages(study: Study) -> str | None:
    """The versions of this machine's packages that differ from those of the search, in words; None if it fits.

    They differ if neither the first machine nor one that was accepted has the same.
    """
    here: Mapping[str, str] = installed_versions()
    known: Sequence[Mapping[str, str]] = study.user_attrs.get(VERSIONS, []) or _of_first_trials(study)
    fits = not known or any(not other_versions(here, there) for there in known)
    return None if fits else _difference(here, known[0])


def _difference(here: Mapping[str, str], there: Mapping[str, str]) -> str:
    """The versions that differ, in words."""
    other = other_versions(here, there)
    found = " and ".join(f"{name} {own}" for name, (own, _) in other.items())
    begun = " and ".join(f"{name} {earlier}" for name, (_, earlier) in other.items())
    return f"{socket.gethostname()} has {found}, but the search was begun with {begun}"


def _of_first_trials(study: Study) -> list[dict[str, str]]:
    """The versions with which a search of an earlier version of peftsearch began; none before a trial has ended."""
    first: dict[str, str] = {}
    for record in ended_records(study):
        for name, found in (record.measurement.versions if record.measurement else {}).items():
            if name in PACKAGES:
                first.setdefault(name, found)
    return [first] if first else []
