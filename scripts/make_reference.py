"""Write the pages of docs/reference that are made of the code: each key, dimension, command and objective once.

python -m scripts.make_reference
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scripts.reference.commands import commands_page
from scripts.reference.dimensions import dimensions_page
from scripts.reference.objectives import objectives_page
from scripts.reference.study_file import study_file_page

FOLDER = Path(__file__).parent.parent / "docs" / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "study-file.md": study_file_page,
    "dimensions.md": dimensions_page,
    "objectives.md": objectives_page,
    "commands.md": commands_page,
}
"""The name of a page in `FOLDER` → what makes it."""


def main() -> None:
    """Write every page."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
