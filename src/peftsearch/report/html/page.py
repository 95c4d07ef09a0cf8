"""Writes the report of a study: one HTML file that needs nothing from the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from peftsearch.core.calls.arguments import checked
from peftsearch.core.errors import UserError
from peftsearch.core.escaping import visible
from peftsearch.core.files.disk import replacing
from peftsearch.report.html.sections import sections
from peftsearch.results.open import Study, results_of
from peftsearch.results.stored_study import StoredStudy
from peftsearch.study.overrides import Overrides

if TYPE_CHECKING:
    from markupsafe import Markup

    from peftsearch.report.html.blocks import Plot

TEXTS = 10
"""Wrongly labelled texts that are shown unless another number is asked for."""

CONFIG = {"displayModeBar": False, "responsive": True}
"""plotly's: its buttons cannot be reached with a keyboard, and a page of another width needs another figure."""


def write_report(stored: StoredStudy, file: Path, texts: int = TEXTS) -> None:
    """Write the report of a study, in place of what `file` holds.

    Args:
        stored: the study.
        file: ends in .html; its folder is created.
        texts: how many wrongly labelled validation texts to show; with 0 the page holds no text of the data.

    Raises:
        UserError: the ending is another one, no trial has finished, or the file cannot be written.
    """
    if file.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out {file}: a report is an HTML page; let the name end in .html")
    page = render(stored, texts)
    with replacing(file) as partial:
        partial.write_text(page, encoding="utf-8")


@checked
def report_study(
    study: Study | StoredStudy,
    out: str | Path,
    *,
    texts: int = TEXTS,
    storage: str | None = None,
    fork: str | None = None,
    overrides: Overrides | None = None,
) -> Path:
    """Write a study as one HTML page, which anyone can read in a browser, and which loads nothing from elsewhere.

    Args:
        study: results that are open already, or a study as `open_results` takes it.
        out: the page to write, which ends in .html and replaces an earlier one; its folder is created.
        texts: how many wrongly labelled validation texts to show; with 0 the page holds no text of the data.
        storage: as for `open_results`.
        fork: as for `open_results`.
        overrides: as for `open_results`.

    Returns:
        The page's path.

    Raises:
        UserError: no trial has finished, or the page cannot be written.

    Examples:
        >>> report_study("quickstart", "report.html", texts=0).name
        'report.html'
    """
    write_report(results_of(study, storage, fork, overrides), Path(out), texts)
    return Path(out)


def render(stored: StoredStudy, texts: int = TEXTS) -> str:
    """The page. All that is not of the template itself is escaped, and a command to a terminal is made visible.

    Raises:
        UserError: no trial has finished.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("peftsearch", "resources/report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: _whole_percentages(visible(value)) if type(value) is str else value,
    )
    environment.globals["draw"] = _draw
    return environment.get_template("page.html").render(
        study=stored.name,
        goal=stored.about.goal or "",
        sections=sections(stored, texts),
        plotly=Markup(get_plotlyjs()),
    )


def _whole_percentages(text: str) -> str:
    """`text` in which no line ends between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def _draw(plot: Plot, name: str) -> Markup:
    """A figure as HTML, which plotly has made safe within a script.

    Args:
        plot: the block.
        name: the id of its element.
    """
    from markupsafe import Markup

    plot.figure.update_layout(
        template="plotly_white",
        legend={"orientation": "h", "yanchor": "top", "y": -0.2},
        margin={"l": 60, "r": 20, "t": 24, "b": 40},
        height=460,
        font={"size": 13, "color": "#222222"},
    )
    plot.figure.update_xaxes(automargin=True)
    return Markup(
        plot.figure.to_html(config=CONFIG, include_plotlyjs=False, full_html=False, div_id=name, default_height="460px")
    )
