"""Draws a front to a file.

matplotlib draws a `.png`, because plotly would need a Chrome browser for it; plotly draws a `.html` and the dashboard.
"""

from __future__ import annotations

from pathlib import Path

from peftsearch.core.errors import UserError
from peftsearch.report.figures.interactive import write_html
from peftsearch.report.figures.picture import FrontPicture
from peftsearch.report.figures.png import write_png

WRITERS = {".png": write_png, ".html": write_html}


def save_front(picture: FrontPicture, file: Path) -> None:
    """Draw a front to a .png or .html file; its folder is created.

    Raises:
        UserError: the file's ending is neither .png nor .html, there is nothing to draw, or it cannot be written.
    """
    if file.suffix.lower() not in WRITERS:
        raise UserError(f"--plot {file}: cannot draw {file.suffix or 'a file without an ending'}; use .png or .html")
    if not picture.rows:
        raise UserError("nothing to plot yet: no trial has finished")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[file.suffix.lower()](picture, file)
    except OSError as error:
        raise UserError(f"--plot {file}: cannot be written ({error.strerror}); choose another file") from None
