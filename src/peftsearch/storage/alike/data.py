"""Refuses data that are not those of the study's trials, on whichever machine, and says what differs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from peftsearch.core.errors import UserError
from peftsearch.data.likeness import DataAccount
from peftsearch.storage.records import ended_records

if TYPE_CHECKING:
    from optuna.study import Study

    from peftsearch.data.base import TextData

ACCOUNT = "data_account"
"""Of the rows that the search was begun with."""


def check_search_data(study: Study, data: TextData) -> None:
    """Refuse rows that are not those of the search; note them for other machines if none are noted yet.

    A study of an earlier version has the rows of its first trial that has ended. Machines that begin a search at the
    same moment may all note theirs. The last one's stay, and the workers look here again before they train.

    Raises:
        UserError: says what differs.
    """
    account = read_account(study)
    if account is None:
        measured = (record for record in ended_records(study) if record.measurement)
        if (first := next(measured, None)) is not None and first.measurement is not None:
            check_trial_data(study, first.number, first.measurement.data_fingerprint, data)
        study.set_user_attr(ACCOUNT, DataAccount.of(data).to_dict())
    elif account.fingerprint != data.fingerprint:
        machine = f" on {socket.gethostname()}"  # it may be any node of a cluster
        raise _refused(study, "the search was begun with", account.difference(data), machine)


def check_trial_data(study: Study, trial: int, fingerprint: str | None, data: TextData) -> None:
    """Refuse rows that a trial was not trained on.

    Args:
        fingerprint: of the data that it was trained on.

    Raises:
        UserError: says what differs.
    """
    if fingerprint == data.fingerprint:
        return
    account = read_account(study)
    known = account is not None and account.fingerprint == fingerprint
    difference = account.difference(data) if account and known else _of_fingerprints(fingerprint, data)
    raise _refused(study, f"trial {trial} was trained on", difference)


def read_account(study: Study) -> DataAccount | None:
    """What is noted of the rows of the search; None for a study of an earlier version, or one that has not begun."""
    written = study.user_attrs.get(ACCOUNT)
    return DataAccount.from_dict(written) if written else None


def _of_fingerprints(fingerprint: str | None, data: TextData) -> str:
    return f"fingerprint {fingerprint} then, {data.fingerprint} now"


def _refused(study: Study, what: str, difference: str, machine: str = "") -> UserError:
    return UserError(
        f"the data of {study.study_name!r}{machine} is not what {what} ({difference}); restore the data, or search "
        "again with --fork NEW_NAME"
    )
