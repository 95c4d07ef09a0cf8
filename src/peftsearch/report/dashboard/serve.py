"""optuna-dashboard over one study, with the front, and the learning curve and settings of each trial."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from peftsearch.core.errors import StorageLost, UserError
from peftsearch.core.objectives import quality_objective
from peftsearch.report.dashboard.guard import guarded
from peftsearch.report.dashboard.note import note_with_own_words
from peftsearch.report.dashboard.store import DashboardStore
from peftsearch.report.figures import curve_figure, front_figure
from peftsearch.results.front import rows
from peftsearch.storage.optuna_access import is_there
from peftsearch.storage.records import records

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from plotly.graph_objects import Figure

    from peftsearch.storage.records import Record

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Loopback only: the dashboard has no password."""

REFRESH_SECONDS = 10.0


def serve(study: Study, storage: BaseStorage, objectives: Sequence[str], port: int, allow_edit: bool = False) -> None:
    """Serve the dashboard on loopback until Ctrl-C. Figures and notes follow the search every `REFRESH_SECONDS`.

    Args:
        study: whose figures and notes are written.
        storage: the storage to show, with all of its studies.
        objectives: the study's, by name.
        port: to listen on.
        allow_edit: whether the pages may change and delete studies; otherwise they only show them.

    Raises:
        UserError: the port is taken.
    """
    from optuna_dashboard import wsgi

    try:
        # Not `run_server`, which prints a line for every request that the page makes.
        server = make_server(HOST, port, guarded(wsgi(storage), port, allow_edit), handler_class=_Quiet)
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen on {HOST} ({error.strerror}); choose another port") from None
    decorate(study, objectives)
    threading.Thread(target=_keep_decorating, args=(study, objectives), daemon=True).start()
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def decorate(study: Study, objectives: Sequence[str]) -> None:
    """Write the front's figure, and a figure and a note for every trial. What has not changed is not written again."""
    known, store = records(study), DashboardStore(study)
    for name, figure in _figures(study.study_name, known, objectives):
        store.save_figure(name, figure)
    for record in known:
        if record.config:
            note = note_with_own_words(record, objectives, store.note(record.number))
            store.save_note(record.number, note)


def _figures(name: str, known: Sequence[Record], objectives: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Each figure with its id on the study's page, the front first."""
    finished = rows(known, objectives)
    if finished:
        yield "front", front_figure(finished, objectives, f"Pareto front of {name}")
    for record in known:
        if record.curve:
            yield f"trial-{record.number}", curve_figure(record, quality_objective(objectives))


def _keep_decorating(study: Study, objectives: Sequence[str]) -> None:
    while True:
        time.sleep(REFRESH_SECONDS)
        try:
            decorate(study, objectives)
        except KeyError:
            if is_there(study):
                raise
            logger.warning("the study %s is no longer in the storage; its figures are not refreshed", study.study_name)
            return
        except StorageLost as lost:  # that it is lost now says nothing about the next time
            logger.warning("figures not refreshed: %s", lost)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
