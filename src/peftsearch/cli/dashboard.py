"""`dashboard`: optuna-dashboard over one study."""

from __future__ import annotations

import click

from peftsearch.cli.shared.options import ChosenStudy, example, storage_options, stored
from peftsearch.cli.shared.output import say
from peftsearch.cli.shared.parsing import WholeNumber


@click.command(epilog=example("peftsearch dashboard --study quickstart --port 8080"))
@storage_options
@click.option("--port", type=WholeNumber(1, 65535), default=8080, show_default=True, help="The port on 127.0.0.1.")
@click.option("--allow-edit", is_flag=True, help="Let the pages change notes, and rename and delete studies.")
def dashboard(study: ChosenStudy, fork: str | None, storage: str | None, port: int, allow_edit: bool) -> None:
    """Look at a study in the browser, with learning curves.

    This starts optuna-dashboard, which only this machine can reach, and which changes nothing unless --allow-edit is
    given.
    """
    from peftsearch.report.dashboard.serve import HOST, serve

    results = stored(study, fork, storage)
    say(f"{results.name}: http://{HOST}:{port}/dashboard (Ctrl-C ends it)")
    serve(results, port, allow_edit)
