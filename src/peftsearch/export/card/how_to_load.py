"""How people open an exported folder: what the model card shows, and what tests and the proof run."""

from __future__ import annotations

from dataclasses import dataclass

from peftsearch.data.columns import columns_of

WITH_PEFTSEARCH = """
import peftsearch

classifier = peftsearch.load_classifier(".")  # the path of this folder
classifier.predict([{example}])
"""


@dataclass(frozen=True)
class HowToLoad:
    """The documented way to open one form of folder.

    Attributes:
        library: the hub's name of the library, `library_name` in a card.
        code: a few lines of Python, run in the folder.
        needs: what has to be installed, as pip names it.
        note: a sentence to stand above the code; may be empty.
    """

    library: str
    code: str
    needs: tuple[str, ...]
    note: str = ""


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
