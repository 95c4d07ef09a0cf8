"""Which errors of a database are an outage: the database itself failed, and may answer if it is asked again."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from peftsearch.core.errors import StorageLost

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine, ExceptionContext

OPTUNA_HANDLES = re.compile(r"too many SQL variables|number of (query )?parameters", re.IGNORECASE)
"""Optuna answers these by a query with fewer parameters."""

DAMAGED = re.compile(
    r"malformed|not a database|no such (table|column)|unsupported file format|database .* does not exist"
)
"""Waiting mends none of these."""


class StorageAway(Exception):
    """The database did not do what it was asked, and may do it later: it is locked, full, restarting, unreachable.

    Whether it was done may be unknown, since a connection can break after the server has committed and before it says
    so. The message is the database's own reason.
    """


def raise_outages(engine: Engine, name: str) -> None:
    """Let every outage leave `engine` as `StorageAway`, or as `StorageLost` if waiting cannot end it.

    Without this, Optuna turns an outage into a `StorageInternalError` which says that the data is invalid. It also
    repeats the creation of a trial by itself, although the first one may have been created.

    Args:
        name: how messages name the storage.
    """
    from sqlalchemy import event

    event.listen(engine, "handle_error", partial(_on_error, name))


def is_outage(error: BaseException) -> bool:
    """Whether `error` of SQLAlchemy is the database's, and not that of the statement or its data."""
    from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError

    if not isinstance(error, DBAPIError) or OPTUNA_HANDLES.search(reason_of(error)):
        return False
    # SQLite says by a plain DatabaseError that a file is damaged.
    kinds = isinstance(error, OperationalError | InterfaceError | InternalError) or type(error) is DatabaseError
    return kinds or error.connection_invalidated


def reason_of(error: BaseException) -> str:
    """The first line of what the driver says, without the statement that SQLAlchemy adds."""
    origin = getattr(error, "orig", None) or error
    return (str(origin).strip().splitlines() or [type(origin).__name__])[0]


def _on_error(name: str, context: ExceptionContext) -> None:
    error = context.sqlalchemy_exception
    if error is None or context.is_pre_ping or not is_outage(error):
        return  # a connection that fails its ping is replaced by SQLAlchemy
    reason = reason_of(error)
    if "readonly database" in reason:
        raise StorageLost(f"the storage {name} cannot be written ({reason}); check its permissions")
    if DAMAGED.search(reason):
        raise StorageLost(
            f"the storage {name} is damaged ({reason}); put a whole copy in its place, or begin with a new one"
        )
    raise StorageAway(reason)
