"""optuna-dashboard over one study, with the front, and the learning curve and settings of each trial."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from peftsearch.confirm.summary import confirmation
from peftsearch.core.errors import StorageLost, UserError
from peftsearch.report.dashboard.guard import guarded
from peftsearch.report.dashboard.note import note_with_own_words
from peftsearch.report.dashboard.store import DashboardStore
from peftsearch.report.figures.interactive import curve_figure, front_figure
from peftsearch.report.figures.picture import front_picture
from peftsearch.report.on_test import confirmed_trials
from peftsearch.storage.confirm_queue import without_queues
from peftsearch.storage.optuna_access import is_there

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from peftsearch.confirm.summary import Confirmed
    from peftsearch.results.stored_study import StoredStudy
    from peftsearch.storage.records import Record

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Loopback only: the dashboard has no password."""

REFRESH_SECONDS = 10.0


def serve(stored: StoredStudy, port: int, allow_edit: bool = False) -> None:
    """Serve the dashboard on loopback until Ctrl-C. Figures and notes follow the search every `REFRESH_SECONDS`.

    Args:
        stored: the study whose figures and notes are written. The pages show every study of its storage, but for the
            queues of `confirm`.
        port: to listen on.
        allow_edit: whether the pages may change and delete studies; otherwise they only show them.

    Raises:
        UserError: the port is taken.
    """
    from optuna_dashboard import wsgi

    try:
        # Not `run_server`, which prints a line for every request that the page makes.
        server = make_server(
            HOST, port, guarded(wsgi(without_queues(stored.storage)), port, allow_edit), handler_class=_Quiet
        )
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen on {HOST} ({error.strerror}); choose another port") from None
    decorate(stored)
    threading.Thread(target=_keep_decorating, args=(stored,), daemon=True).start()
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def decorate(stored: StoredStudy) -> None:
    """Write the front's figure, and a figure and a note for every trial. What has not changed is not written again."""
    known, store, confirmed = stored.records(), DashboardStore(stored.study), confirmed_trials(confirmation(stored))
    for name, figure in _figures(stored, known, confirmed):
        store.save_figure(name, figure)
    for record in known:
        if record.config:
            written = store.note(record.number)
            note = note_with_own_words(record, stored.objectives, written, confirmed.get(record.number))
            store.save_note(record.number, note)


def _figures(
    stored: StoredStudy, known: Sequence[Record], confirmed: Mapping[int, Confirmed]
) -> Iterator[tuple[str, Figure]]:
    """Each figure with its id on the study's page, the front first."""
    picture = front_picture(stored)
    if picture.rows:
        yield "front", front_figure(picture)
    for record in known:
        if record.curve:
            yield f"trial-{record.number}", curve_figure(record, stored.quality)


def _keep_decorating(stored: StoredStudy) -> None:
    while True:
        time.sleep(REFRESH_SECONDS)
        try:
            decorate(stored)
        except KeyError:
            if is_there(stored.study):
                raise
            logger.warning("the study %s is no longer in the storage; its figures are not refreshed", stored.name)
            return
        except StorageLost as lost:  # that it is lost now says nothing about the next time
            logger.warning("figures not refreshed: %s", lost)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
