"""optuna-dashboard over one study, with its answer, its front, and what each trial was and learned."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from peftsearch.confirm.summary import confirmation
from peftsearch.core.errors import StorageLost, UserError
from peftsearch.report.dashboard.artifacts import TrialArtifacts
from peftsearch.report.dashboard.guard import guarded
from peftsearch.report.dashboard.legible import legible
from peftsearch.report.dashboard.note import study_note, trial_note, with_own_words
from peftsearch.report.dashboard.store import DashboardStore
from peftsearch.report.figures.interactive import front_figure
from peftsearch.report.figures.picture import front_picture
from peftsearch.storage.confirm_queue import without_queues
from peftsearch.storage.optuna_access import is_there

if TYPE_CHECKING:
    from peftsearch.results.stored_study import StoredStudy

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

    artifacts = TrialArtifacts(stored)
    shown = without_queues(stored.storage, artifacts.attributes, artifacts.seen, legible)
    pages = wsgi(shown, artifact_store=artifacts)
    try:
        # Not `run_server`, which prints a line for every request that the page makes.
        server = make_server(HOST, port, guarded(pages, port, allow_edit), handler_class=_Quiet)
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen on {HOST} ({error.strerror}); choose another port") from None
    decorate(stored)
    artifacts.refresh()
    threading.Thread(target=_keep_decorating, args=(stored, artifacts), daemon=True).start()
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def decorate(stored: StoredStudy) -> None:
    """Write the front's figure, and a note for the study and every trial. What has not changed is not written again."""
    store, found = DashboardStore(stored.study), confirmation(stored)
    picture, front = front_picture(stored), [row.point for row in stored.front()]
    if picture.rows:
        store.save_figure("front", front_figure(picture))
    store.save_note(None, with_own_words(study_note(stored, found), store.note(None)))
    for record in stored.records():
        if record.config:
            mine = [row for row in found.measured if row.point.trial == record.number]
            of_it = [point for point in front if point.trial == record.number]
            note = trial_note(record, stored.objectives, mine, of_it)
            store.save_note(record.number, with_own_words(note, store.note(record.number)))


def _keep_decorating(stored: StoredStudy, artifacts: TrialArtifacts) -> None:
    while True:
        time.sleep(REFRESH_SECONDS)
        try:
            decorate(stored)
            artifacts.refresh()
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
