"""How people open an exported folder: what the model card shows, and what tests and the proof run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from peftsearch.data.columns import columns_of

FOLDER = "DIR"
"""Stands in the code for the path of the folder, or for its repository on the hub."""

WITH_PEFTSEARCH = """
import peftsearch

classifier = peftsearch.load_classifier("DIR")
classifier.predict([{example}])
"""


@dataclass(frozen=True)
class HowToLoad:
    """The documented way to open one form of folder.

    Attributes:
        library: the hub's name of the library, `library_name` in a card.
        code: a few lines of Python, in which `"DIR"` stands for the folder.
        needs: what has to be installed, as pip names it.
        note: a sentence to stand above the code; may be empty.
    """

    library: str
    code: str
    needs: tuple[str, ...]
    note: str = ""


def code_in(card: str, folder: Path) -> str:
    """The code of a model card's first block, with the path of the folder that the card is of."""
    _, _, rest = card.partition("```python\n")
    return rest.partition("\n```")[0].replace(f'"{FOLDER}"', repr(str(folder)))


def with_peftsearch(text: str | list[str]) -> HowToLoad:
    """How `peftsearch` itself opens a folder that it has exported; `text` is the study's `data.text`."""
    return HowToLoad("peftsearch", WITH_PEFTSEARCH.format(example=_example(text)), ("peftsearch",))


def _example(written: str | list[str]) -> str:
    """What `predict` takes: a text, a pair, or the columns that a text is composed of."""
    texts = [written] if isinstance(written, str) else written
    columns = dict.fromkeys((name for text in texts for name in columns_of(text)), "…")
    if len(columns) != len(texts) or any(len(columns_of(text)) > 1 for text in texts):
        return repr(columns)
    return '("one text", "and another")' if len(texts) == 2 else '"a text"'
