"""What optuna-dashboard shows beyond its own: each trial's learning curve, its settings, and the front."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from peftsearch.core.errors import UserError
from peftsearch.core.objectives import quality_objective
from peftsearch.report.figures import curve_figure, front_figure
from peftsearch.results.formatting import objective_label, objective_with_unit, params, value_in_words, why
from peftsearch.results.front import rows
from peftsearch.storage.optuna_access import storage_of, study_id, trial_ids
from peftsearch.storage.records import records
from peftsearch.storage.study_attributes import read_foreign_attributes

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.study import Study
    from plotly.graph_objects import Figure

    from peftsearch.core.config import TrialConfig
    from peftsearch.storage.records import Record

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Loopback only: the dashboard has no password, and can delete studies."""

REFRESH_SECONDS = 10.0

KEPT = "---\n*peftsearch writes what stands above this line, and keeps what you write below it.*"


def serve(study: Study, storage: BaseStorage, objectives: Sequence[str], port: int) -> None:
    """Serve the dashboard on loopback until Ctrl-C; figures and notes follow the search every `REFRESH_SECONDS`.

    Raises:
        UserError: the port is taken.
    """
    from optuna_dashboard import wsgi

    try:
        # Not `run_server`, which prints a line for every request that the page makes.
        server = make_server(HOST, port, wsgi(storage), handler_class=_Quiet)
    except OSError as error:
        raise UserError(f"--port {port}: cannot listen on {HOST} ({error.strerror}); choose another port") from None
    decorate(study, objectives)
    threading.Thread(target=_keep_decorating, args=(study, objectives), daemon=True).start()
    with server, contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()


def decorate(study: Study, objectives: Sequence[str]) -> None:
    """Write the front's figure, and a figure and a note for every trial; what has not changed is not written again."""
    known = records(study)
    attrs, ids = read_foreign_attributes(study), trial_ids(study)
    for name, figure in _figures(study.study_name, known, objectives):
        _save_figure(study, attrs, name, figure)
    for record in known:
        if record.config:
            _save_note(
                study,
                attrs,
                ids[record.number],
                note(record, objectives),
            )


def note(record: Record, objectives: Sequence[str]) -> str:
    """A trial in Markdown: what it is, what it reached, its settings and its epochs."""
    if record.config is None:
        return ""
    reached = [objective_with_unit(name, value) for name, value in record.values.items()]
    lines = [f"**{record.config.method}** on {record.config.backbone}", ""]
    lines += [f"- {line}" for line in [*reached, *([f"{record.state}: {why(record)}"] if why(record) else [])]]
    lines += ["", *_markdown_table(("setting", "value"), _settings(record.config)), ""]
    if record.curve:
        lines += _epochs(record, quality_objective(objectives))
        lines += ["", f"Its learning curve is the figure `trial-{record.number}` on the study's page."]
    return "\n".join(lines)


def _figures(name: str, known: Sequence[Record], objectives: Sequence[str]) -> Iterator[tuple[str, Figure]]:
    """Figure by its id on the study's page, the front first."""
    finished = rows(known, objectives)
    if finished:
        yield "front", front_figure(finished, objectives, f"Pareto front of {name}")
    for record in known:
        if record.curve:
            yield f"trial-{record.number}", curve_figure(record, quality_objective(objectives))


def _save_figure(study: Study, attrs: Mapping[str, Any], name: str, figure: Figure) -> None:
    from optuna_dashboard import save_plotly_graph_object
    from optuna_dashboard._custom_plot_data import SYSTEM_ATTR_PLOT_DATA, split_plot_data

    # The attributes of a longer figure of before are emptied, not removed: only those of this one are compared.
    parts = split_plot_data(figure.to_json(), f"{SYSTEM_ATTR_PLOT_DATA}{name}:")
    if any(attrs.get(key) != part for key, part in parts.items()):
        save_plotly_graph_object(study, figure, graph_object_id=name)


def _save_note(study: Study, attrs: Mapping[str, Any], trial_id: int, text: str) -> None:
    from optuna_dashboard._note import get_note_from_system_attrs, save_note_with_version

    written = get_note_from_system_attrs(dict(attrs), trial_id)
    ours, _, theirs = written["body"].rpartition(KEPT)
    body = f"{text}\n\n{KEPT}{theirs if ours else theirs and chr(10) + theirs}"
    if body != written["body"]:
        # `save_note` takes a trial only while it is running; notes stand on the study, so any trial can have one.
        save_note_with_version(storage_of(study), study_id(study), trial_id, written["version"] + 1, body)


def _settings(config: TrialConfig) -> list[tuple[str, str]]:
    return [(name, value_in_words(value)) for name, value in params(config).items()]


def _epochs(record: Record, quality: str) -> list[str]:
    cells = [
        (str(e.epoch), f"{e.train_loss:.4f}", f"{e.validation_loss:.4f}", f"{e.metrics.get(quality, float('nan')):.4f}")
        for e in record.curve
    ]
    return _markdown_table(("epoch", "train loss", "validation loss", objective_label(quality)), cells)


def _markdown_table(heading: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heading, ["---"] * len(heading), *cells)]


def _keep_decorating(study: Study, objectives: Sequence[str]) -> None:
    from sqlalchemy.exc import SQLAlchemyError

    while True:
        time.sleep(REFRESH_SECONDS)
        try:
            decorate(study, objectives)
        except SQLAlchemyError as error:  # a locked or lost database now says nothing about the next time
            logger.warning("figures not refreshed: %s", type(error).__name__)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass
